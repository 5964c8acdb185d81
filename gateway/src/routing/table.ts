import { BANK_LABEL, type Bank, bankIdOf, childName } from '@bankhouse/core';
import type { ObjectMeta } from '@bankhouse/kube';
import type { BankRoute, Endpoint, RoutingTable } from './routing-table.ts';

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** The fields of `discovery.k8s.io/v1` EndpointSlice that are read. */
export interface EndpointSlice {
  metadata: ObjectMeta;
  addressType: 'IPv4' | 'IPv6' | 'FQDN';
  endpoints?: readonly {
    addresses: readonly string[];
    conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
  }[];
  ports?: readonly { name?: string; port?: number; protocol?: string }[];
}

/** The fields of a Bank that are read. */
export type RoutedBank = Pick<Bank, 'metadata' | 'status'> & { spec: Pick<Bank['spec'], 'id' | 'suspend'> };

/**
 * The routing table, from Banks and EndpointSlices by key; pure.
 *
 * | Bank                                               | route                                    |
 * |----------------------------------------------------|------------------------------------------|
 * | not accepted (id taken, class missing), or deleted | none                                     |
 * | accepted, and another accepted one has the same id | none: nobody can say which is meant      |
 * | accepted                                           | endpoints of its own namespace's slices  |
 *
 * A slice is believed only in the namespace of the accepted Bank and for the Service named after it: whoever may write in
 * another namespace must not draw a bank's calls to himself.
 */
export class BankTable implements RoutingTable {
  private readonly banks = new Map<string, RoutedBank>();
  private readonly slices = new Map<string, EndpointSlice>();
  /** Keys by bank id. */
  private readonly banksOf = new Map<string, Set<string>>();
  private readonly slicesOf = new Map<string, Set<string>>();
  private readonly routes = new Map<string, BankRoute>();
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly onRoute: (id: string, route: BankRoute | undefined) => void;

  /** @param onRoute called after every change of a route */
  constructor(onRoute: (id: string, route: BankRoute | undefined) => void = () => {}) {
    this.onRoute = onRoute;
  }

  lookup(id: string): BankRoute | undefined {
    return this.routes.get(id);
  }

  get size(): number {
    return this.routes.size;
  }

  changed(id: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.waiting.get(id) ?? new Set();
      this.waiting.set(id, waiting);
      const finish = () => {
        waiting.delete(finish);
        if (waiting.size === 0) this.waiting.delete(id);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      waiting.add(finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }

  /** @param bank undefined: gone */
  setBank(key: string, bank: RoutedBank | undefined): void {
    const before = this.banks.get(key);
    const ids = new Set<string>();
    if (before !== undefined) {
      ids.add(bankIdOf(before));
      unlink(this.banksOf, bankIdOf(before), key);
      this.banks.delete(key);
    }
    if (bank !== undefined) {
      ids.add(bankIdOf(bank));
      link(this.banksOf, bankIdOf(bank), key);
      this.banks.set(key, bank);
    }
    for (const id of ids) this.update(id);
  }

  /** @param slice undefined: gone */
  setSlice(key: string, slice: EndpointSlice | undefined): void {
    const ids = new Set<string>();
    const before = this.slices.get(key)?.metadata.labels?.[BANK_LABEL];
    if (before !== undefined) {
      ids.add(before);
      unlink(this.slicesOf, before, key);
    }
    this.slices.delete(key);
    const after = slice?.metadata.labels?.[BANK_LABEL];
    if (slice !== undefined && after !== undefined) {
      ids.add(after);
      link(this.slicesOf, after, key);
      this.slices.set(key, slice);
    }
    for (const id of ids) this.update(id);
  }

  private update(id: string): void {
    const route = this.buildRoute(id);
    if (route === undefined && !this.routes.has(id)) return;
    if (route === undefined) this.routes.delete(id);
    else this.routes.set(id, route);
    this.onRoute(id, route);
    for (const finish of [...(this.waiting.get(id) ?? [])]) finish();
  }

  private buildRoute(id: string): BankRoute | undefined {
    const accepted = [...(this.banksOf.get(id) ?? [])].flatMap((key) => {
      const bank = this.banks.get(key);
      return bank !== undefined && isAccepted(bank) ? [bank] : [];
    });
    const [bank] = accepted;
    if (bank === undefined || accepted.length > 1) return undefined;
    const slices = [...(this.slicesOf.get(id) ?? [])].flatMap((key) => this.slices.get(key) ?? []);
    return {
      id,
      isSuspended: bank.spec.suspend === true,
      keyGeneration: bank.status?.keyGeneration ?? 1,
      endpoints: endpointsOf(slices.filter((slice) => isOwnSlice(slice, id, bank.metadata.namespace))),
    };
  }
}

function isAccepted(bank: RoutedBank): boolean {
  if (bank.metadata.deletionTimestamp !== undefined) return false;
  return bank.status?.conditions?.some(({ type, status }) => type === 'Accepted' && status === 'True') === true;
}

function isOwnSlice(slice: EndpointSlice, id: string, namespace: string | undefined): boolean {
  return (
    slice.metadata.namespace === namespace &&
    slice.metadata.labels?.[SERVICE_NAME_LABEL] === childName(id) &&
    slice.addressType !== 'FQDN'
  );
}

/** One endpoint per address; the same pod can be in two slices while the controller moves it. */
function endpointsOf(slices: readonly EndpointSlice[]): Endpoint[] {
  const endpoints = new Map<string, Endpoint>();
  for (const slice of slices) {
    const port = slice.ports?.find(({ protocol }) => protocol === undefined || protocol === 'TCP')?.port;
    if (port === undefined) continue;
    for (const { addresses, conditions } of slice.endpoints ?? []) {
      const [ip] = addresses;
      if (ip === undefined) continue;
      const address = slice.addressType === 'IPv6' ? `[${ip}]:${port}` : `${ip}:${port}`;
      const isServing = conditions?.serving ?? conditions?.ready ?? true;
      const isTerminating = conditions?.terminating === true;
      endpoints.set(address, { address, isServing, isTerminating });
    }
  }
  return [...endpoints.values()];
}

function link(index: Map<string, Set<string>>, id: string, key: string): void {
  const keys = index.get(id) ?? new Set();
  index.set(id, keys.add(key));
}

function unlink(index: Map<string, Set<string>>, id: string, key: string): void {
  const keys = index.get(id);
  keys?.delete(key);
  if (keys?.size === 0) index.delete(id);
}
