import { BANK_SERVER_PORT } from '@bankhouse/core';
import type { RoutedBank, RoutedPod } from './objects.ts';
import type { BankRoute, Endpoint, RoutingTable } from './routing-table.ts';

/**
 * The routing table, from Banks and Pods by key; pure.
 *
 * | Bank                                                       | route                               |
 * |------------------------------------------------------------|-------------------------------------|
 * | not accepted under this id (taken, class missing), deleted | none                                |
 * | accepted, and another accepted one has the same id         | none: nobody can say which is meant |
 * | accepted                                                   | its own namespace's pods, see readPod |
 *
 * A pod is believed only in the namespace of the accepted Bank, and the port is ours: whoever may write elsewhere must not draw a
 * bank's calls to himself.
 */
export class BankTable implements RoutingTable {
  private readonly banks = new Map<string, RoutedBank>();
  private readonly pods = new Map<string, RoutedPod>();
  /** Keys by bank id. */
  private readonly banksOf = new Map<string, Set<string>>();
  private readonly podsOf = new Map<string, Set<string>>();
  private readonly routes = new Map<string, BankRoute>();
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly onRoute: (id: string, route: BankRoute | undefined) => void;
  private readonly port: number;

  /**
   * @param options.onRoute called after every change of a route
   * @param options.port for tests, whose pods share an address: of every bank server
   */
  constructor(
    options: {
      onRoute?: ((id: string, route: BankRoute | undefined) => void) | undefined;
      port?: number | undefined;
    } = {},
  ) {
    this.onRoute = options.onRoute ?? (() => {});
    this.port = options.port ?? BANK_SERVER_PORT;
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
    if (before !== undefined) unlink(this.banksOf, before.id, key);
    if (bank === undefined) this.banks.delete(key);
    else {
      link(this.banksOf, bank.id, key);
      this.banks.set(key, bank);
    }
    this.update([before?.id, bank?.id]);
  }

  /** @param pod undefined: gone */
  setPod(key: string, pod: RoutedPod | undefined): void {
    const before = this.pods.get(key);
    if (before?.bank !== undefined) unlink(this.podsOf, before.bank, key);
    if (pod?.bank === undefined) this.pods.delete(key);
    else {
      link(this.podsOf, pod.bank, key);
      this.pods.set(key, pod);
    }
    this.update([before?.bank, pod?.bank]);
  }

  private update(ids: readonly (string | undefined)[]): void {
    for (const id of new Set(ids)) {
      if (id === undefined) continue;
      const route = this.buildRoute(id);
      if (isSameRoute(this.routes.get(id), route)) continue;
      if (route === undefined) this.routes.delete(id);
      else this.routes.set(id, route);
      this.onRoute(id, route);
      for (const finish of [...(this.waiting.get(id) ?? [])]) finish();
    }
  }

  private buildRoute(id: string): BankRoute | undefined {
    const accepted = [...(this.banksOf.get(id) ?? [])].flatMap((key) => {
      const bank = this.banks.get(key);
      return bank?.isAccepted === true ? [bank] : [];
    });
    const [bank] = accepted;
    const { uid: incarnation, namespace } = bank?.metadata ?? {};
    if (bank === undefined || incarnation === undefined || namespace === undefined || accepted.length > 1)
      return undefined;
    const pods = [...(this.podsOf.get(id) ?? [])].flatMap((key) => this.pods.get(key) ?? []);
    return {
      id,
      namespace,
      incarnation,
      isSuspended: bank.isSuspended,
      keyGeneration: bank.keyGeneration,
      endpoints: endpointsOf(
        pods.filter((pod) => pod.metadata.namespace === namespace),
        this.port,
        bank.provenImages,
      ),
    };
  }
}

/** One endpoint per address: should two pods have one, the one that is Ready says what it is. */
function endpointsOf(pods: readonly RoutedPod[], port: number, provenImages: readonly string[]): Endpoint[] {
  const endpoints = new Map<string, Endpoint>();
  for (const { target } of pods) {
    if (target === undefined) continue;
    const { ip, isServing, image } = target;
    const address = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
    if (endpoints.get(address)?.isServing !== true)
      endpoints.set(address, {
        address,
        isServing,
        image,
        mustProve: image !== undefined && provenImages.includes(image),
      });
  }
  return [...endpoints.values()];
}

function isSameRoute(a: BankRoute | undefined, b: BankRoute | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.incarnation === b.incarnation &&
    a.namespace === b.namespace &&
    a.isSuspended === b.isSuspended &&
    a.keyGeneration === b.keyGeneration &&
    a.endpoints.length === b.endpoints.length &&
    a.endpoints.every(({ address, isServing, image, mustProve }, index) => {
      const other = b.endpoints[index];
      return (
        other?.address === address &&
        other.isServing === isServing &&
        other.image === image &&
        other.mustProve === mustProve
      );
    })
  );
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
