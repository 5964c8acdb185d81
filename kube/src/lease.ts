import { type Logger, messageOf } from '@bankhouse/core';
import { isApiError } from './api-error.ts';
import { type Clock, delay } from './clock.ts';
import type { ObjectMeta } from './objects.ts';
import type { Transport } from './transport.ts';

/** Seconds as client-go has them: how long a lease holds unseen, how long a holder tries to renew, how often it does. */
export const LEASE_SECONDS = 15;
export const RENEW_SECONDS = 10;
export const RETRY_SECONDS = 2;

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

interface Lease {
  apiVersion: 'coordination.k8s.io/v1';
  kind: 'Lease';
  metadata: ObjectMeta;
  spec: LeaseSpec;
}

export interface LeaderElection {
  /** Resolves when this process holds the lease; rejects never. */
  readonly acquired: Promise<void>;
  /** Stops renewing and gives the lease back, so that the next holder needn't wait for its end. */
  release(): Promise<void>;
}

/**
 * Holds a Lease for as long as it can. Clocks of other processes are never compared: another's lease has ended when it has
 * not changed for its duration by our own clock.
 *
 * @param transport gets connections of its own, so that no burst of other requests delays a renewal
 * @param onLost called once when the lease could not be renewed in time; the process must exit at once
 */
export function holdLease(options: {
  transport: Transport;
  namespace: string;
  name: string;
  identity: string;
  clock: Clock;
  logger: Logger;
  onLost: () => void;
}): LeaderElection {
  return new LeaseHolder(options);
}

class LeaseHolder implements LeaderElection {
  readonly acquired: Promise<void>;
  private readonly options: Parameters<typeof holdLease>[0];
  private readonly transport: Transport;
  private readonly path: string;
  private readonly stopping = new AbortController();
  private readonly loop: Promise<void>;
  private readonly resolveAcquired: () => void;
  /** The lease as we last saw it, and when its content last changed by our clock. */
  private seen: { lease: Lease; at: number } | undefined;
  private holds = false;

  constructor(options: Parameters<typeof holdLease>[0]) {
    this.options = options;
    this.transport = options.transport.separate();
    this.path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.acquired = promise;
    this.resolveAcquired = resolve;
    this.loop = this.run();
  }

  async release(): Promise<void> {
    this.stopping.abort();
    await this.loop;
    if (this.holds && this.seen !== undefined) {
      const { lease } = this.seen;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      try {
        await this.put({ ...lease, spec });
      } catch (error) {
        this.options.logger.warn({ reason: messageOf(error) }, 'lease not given back');
      }
    }
    await this.transport.close();
  }

  private async run(): Promise<void> {
    const { clock, onLost, logger } = this.options;
    let renewedAt = clock.now();
    while (!this.stopping.signal.aborted) {
      const startedAt = clock.now();
      const got = await this.tryOnce();
      if (this.stopping.signal.aborted) return;
      if (got === 'held') {
        renewedAt = startedAt;
        if (!this.holds) {
          this.holds = true;
          logger.info({ lease: this.options.name, identity: this.options.identity }, 'lease acquired');
          this.resolveAcquired();
        }
      } else if (this.holds && (got === 'other' || clock.now() - renewedAt > RENEW_SECONDS * 1000)) {
        this.holds = false;
        onLost();
        return;
      }
      await delay(clock, RETRY_SECONDS * 1000 * (1 + 0.2 * clock.random()), this.stopping.signal);
    }
  }

  /** `held`: ours and renewed. `other`: somebody else's. `unknown`: no answer, or a race that somebody else won. */
  private async tryOnce(): Promise<'held' | 'other' | 'unknown'> {
    try {
      const lease = await this.read();
      if (lease === undefined) {
        await this.create();
        return 'held';
      }
      this.notice(lease);
      if (lease.spec.holderIdentity !== this.options.identity && !this.hasEnded()) return 'other';
      await this.put(this.renewed(lease));
      return 'held';
    } catch (error) {
      if (!this.stopping.signal.aborted) {
        this.options.logger.warn({ lease: this.options.name, reason: messageOf(error) }, 'lease not renewed');
      }
      return 'unknown';
    }
  }

  private notice(lease: Lease): void {
    if (this.seen?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.seen = { lease, at: this.options.clock.now() };
  }

  private hasEnded(): boolean {
    if (this.seen === undefined) return false;
    const { holderIdentity, leaseDurationSeconds = LEASE_SECONDS } = this.seen.lease.spec;
    if (holderIdentity === undefined || holderIdentity === '') return true;
    return this.options.clock.now() - this.seen.at > leaseDurationSeconds * 1000;
  }

  private renewed(lease: Lease): Lease {
    const now = microTime(this.options.clock.now());
    const mine = lease.spec.holderIdentity === this.options.identity;
    const transitions = lease.spec.leaseTransitions ?? 0;
    return {
      ...lease,
      spec: {
        holderIdentity: this.options.identity,
        leaseDurationSeconds: LEASE_SECONDS,
        acquireTime: mine ? (lease.spec.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: mine ? transitions : transitions + 1,
      },
    };
  }

  private async read(): Promise<Lease | undefined> {
    try {
      return await this.transport.request<Lease>('GET', `${this.path}/${this.options.name}`, this.limits());
    } catch (error) {
      if (isApiError(error, 'not_found')) return undefined;
      throw error;
    }
  }

  private async create(): Promise<void> {
    const metadata = { name: this.options.name, namespace: this.options.namespace };
    const body = this.renewed({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: {} });
    this.notice(await this.transport.request<Lease>('POST', this.path, { body, ...this.limits() }));
  }

  private async put(lease: Lease): Promise<void> {
    const path = `${this.path}/${this.options.name}`;
    this.notice(await this.transport.request<Lease>('PUT', path, { body: lease, timeout: RENEW_SECONDS * 500 }));
  }

  private limits(): { timeout: number; signal: AbortSignal } {
    return { timeout: RENEW_SECONDS * 500, signal: this.stopping.signal };
  }
}

/** RFC 3339 with microseconds, as Lease times are (MicroTime). */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
