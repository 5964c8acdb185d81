import { type Bank, type BankClass, bankIdOf, childName, type McpServer } from '@bankhouse/core';
import type { ChildCaches } from './cluster/apply.ts';
import type { FreshCache } from './cluster/fresh-cache.ts';
import type { StoredChild } from './cluster/stored.ts';
import type { ProbeResult, Prober } from './probe/index.ts';

/** Copies of what the API server has. */
export interface Caches {
  banks: FreshCache<Bank>;
  classes: FreshCache<BankClass>;
  mcpServers: FreshCache<McpServer>;
  children: ChildCaches;
}

/** Everything that a pass over one bank decides by, as it was when the pass began. */
export interface Snapshot {
  key: string;
  id: string;
  bank: Bank;
  /** Every Bank with this id, this one included. */
  sameId: readonly Bank[];
  classes: readonly BankClass[];
  /** Key of all children: they share namespace and name. */
  childKey: string;
  secret: StoredChild | undefined;
  /** None before the bank answered, or had its time to. */
  probe: ProbeResult | undefined;
}

export function gather(
  key: string,
  sources: { caches: Caches; index: BankIndex; prober: Pick<Prober, 'get'> },
): Readonly<Snapshot> | undefined {
  const bank = sources.caches.banks.get(key);
  if (bank === undefined) return undefined;
  const id = bankIdOf(bank);
  const childKey = `${bank.metadata.namespace}/${childName(id)}`;
  return Object.freeze({
    key,
    id,
    bank,
    sameId: sources.index.keysOf(id).flatMap((other) => sources.caches.banks.get(other) ?? []),
    classes: sources.caches.classes.list(),
    childKey,
    secret: sources.caches.children.Secret.get(childKey),
    probe: sources.prober.get(bank.metadata.uid ?? ''),
  });
}

/** Keys of Banks by id: several for one id is what acceptance has to judge. */
export class BankIndex {
  private readonly keys = new Map<string, Set<string>>();

  keysOf(id: string): string[] {
    return [...(this.keys.get(id) ?? [])];
  }

  put(key: string, bank: Bank): void {
    const id = bankIdOf(bank);
    const known = this.keys.get(id);
    if (known === undefined) this.keys.set(id, new Set([key]));
    else known.add(key);
  }

  remove(key: string, bank: Bank): void {
    const id = bankIdOf(bank);
    const known = this.keys.get(id);
    known?.delete(key);
    if (known?.size === 0) this.keys.delete(id);
  }
}
