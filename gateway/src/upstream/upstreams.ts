import { Pool } from 'undici';
import type { BankRoute, Endpoint } from '../routing/routing-table.ts';

const CONNECT_TIMEOUT_MS = 1_000;
/** A bank server that names a shorter time (`Keep-Alive: timeout=`) is believed. */
const KEEP_ALIVE_MS = 30_000;

/** Connections to one address of one bank. */
export interface Upstream {
  readonly address: string;
  readonly pool: Pool;
  /** The pod at the address, as it was known when it was last picked. */
  endpoint: Endpoint;
  /** The newest generation of seal keys that the pod has said to have; undefined: not known. */
  keyGeneration: number | undefined;
  /** Digest of the catalogue that the pod has said to have; undefined: not known, or its server is of a version that says none. */
  catalogue: string | undefined;
  /** Calls under way. */
  outstanding: number;
  /** When it was last picked; a later pick has a higher number. */
  picked: number;
}

/** Connections that stay open, by bank and address: an address that passes to another bank starts with none. */
export class Upstreams {
  private readonly banks = new Map<string, Map<string, Upstream>>();
  private readonly limits: { headersTimeout: number; bodyTimeout: number };
  private picks = 0;

  /** @param limits milliseconds until an answer's headers, and of silence within it */
  constructor(limits: { headersTimeout: number; bodyTimeout: number }) {
    this.limits = limits;
  }

  /**
   * The best endpoint that is not in `except`: serving before starting, then the fewest calls under way, then the one whose turn is
   * longest ago.
   *
   * @returns undefined when none is left
   */
  pick(route: BankRoute, except: ReadonlySet<string>): Upstream | undefined {
    let best: Upstream | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const endpoint of route.endpoints) {
      if (except.has(endpoint.address)) continue;
      const upstream = this.upstream(route.id, endpoint);
      const rank = rankOf(endpoint);
      if (best === undefined || rank < bestRank || (rank === bestRank && isLessBusy(upstream, best))) {
        best = upstream;
        bestRank = rank;
      }
    }
    if (best !== undefined) best.picked = ++this.picks;
    return best;
  }

  /** Closes what a bank no longer has; calls under way there end by themselves. */
  keepOnly(id: string, endpoints: readonly Endpoint[]): void {
    const upstreams = this.banks.get(id);
    if (upstreams === undefined) return;
    const addresses = new Set(endpoints.map(({ address }) => address));
    for (const [address, upstream] of upstreams) {
      if (addresses.has(address)) continue;
      upstreams.delete(address);
      void upstream.pool.close();
    }
    if (upstreams.size === 0) this.banks.delete(id);
  }

  async close(): Promise<void> {
    const upstreams = [...this.banks.values()].flatMap((bank) => [...bank.values()]);
    this.banks.clear();
    await Promise.all(upstreams.map(({ pool }) => pool.destroy()));
  }

  private upstream(id: string, endpoint: Endpoint): Upstream {
    const { address } = endpoint;
    const bank = this.banks.get(id) ?? new Map<string, Upstream>();
    this.banks.set(id, bank);
    const known = bank.get(address);
    if (known !== undefined) {
      known.endpoint = endpoint;
      return known;
    }
    const pool = new Pool(`http://${address}`, {
      ...this.limits,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
    const upstream: Upstream = {
      address,
      pool,
      endpoint,
      keyGeneration: undefined,
      catalogue: undefined,
      outstanding: 0,
      picked: 0,
    };
    bank.set(address, upstream);
    return upstream;
  }
}

function isLessBusy(upstream: Upstream, than: Upstream): boolean {
  if (upstream.outstanding !== than.outstanding) return upstream.outstanding < than.outstanding;
  return upstream.picked < than.picked;
}

function rankOf({ isServing }: Endpoint): number {
  return isServing ? 0 : 1;
}
