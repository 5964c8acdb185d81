import { BankhouseError } from '@bankhouse/core';
import type { BankRoute, RoutingTable } from '../routing/routing-table.ts';
import type { Upstream, Upstreams } from './upstreams.ts';

const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 250;

/** The bank is not there, or suspended; answered by 403. */
export class BankUnavailableError extends BankhouseError {
  constructor() {
    super('bank_unavailable', 'The bank is not there, or suspended.');
    this.name = 'BankUnavailableError';
  }
}

/** No address took the connection in time; answered by 503. */
export class NoEndpointError extends BankhouseError {
  constructor(options?: { cause?: unknown }) {
    super('bank_starting', 'The bank is not answering yet; it may be starting. Try again shortly.', options);
    this.name = 'NoEndpointError';
  }
}

/** The bank's route. @throws BankUnavailableError */
export function routeOf(table: RoutingTable, id: string): BankRoute {
  const route = table.lookup(id);
  if (route === undefined || route.isSuspended) throw new BankUnavailableError();
  return route;
}

/**
 * Where a call waits for an address that takes its connection: the seam for waking a sleeping bank.
 *
 * | there is                          | then                                                                |
 * |-----------------------------------|---------------------------------------------------------------------|
 * | an address not tried in this turn | it is next                                                          |
 * | none left                         | wait for a change of the route, at most 20 … 250 ms, and begin anew |
 * | none left, and the deadline over  | NoEndpointError                                                     |
 */
export class Reach {
  private readonly table: RoutingTable;
  private readonly upstreams: Upstreams;
  private readonly id: string;
  private readonly deadline: number;
  private readonly signal: AbortSignal;
  private readonly tried = new Set<string>();
  private wait = RETRY_FIRST_MS;
  private lastError: Error | undefined;

  /** @param options.deadline milliseconds, by performance.now() */
  constructor(options: {
    table: RoutingTable;
    upstreams: Upstreams;
    id: string;
    deadline: number;
    signal: AbortSignal;
  }) {
    this.table = options.table;
    this.upstreams = options.upstreams;
    this.id = options.id;
    this.deadline = options.deadline;
    this.signal = options.signal;
  }

  /** The next address to try. @throws BankUnavailableError, NoEndpointError */
  async next(): Promise<Upstream> {
    for (;;) {
      const upstream = this.upstreams.pick(routeOf(this.table, this.id), this.tried);
      if (upstream !== undefined) return upstream;
      const left = this.deadline - performance.now();
      if (left <= 0 || this.signal.aborted) throw new NoEndpointError({ cause: this.lastError });
      await this.pause(Math.min(this.wait, left));
      this.wait = Math.min(this.wait * 2, RETRY_MAX_MS);
      this.tried.clear();
    }
  }

  /** That address did not take the connection. */
  refused(upstream: Upstream, error: Error): void {
    this.tried.add(upstream.address);
    this.lastError = error;
  }

  private async pause(ms: number): Promise<void> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), ms);
    await this.table.changed(this.id, AbortSignal.any([this.signal, limit.signal]));
    clearTimeout(timer);
  }
}
