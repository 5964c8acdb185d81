import { BankhouseError } from '@bankhouse/core';
import { holdLease, type LeaderElection, RENEW_SECONDS, type Transport } from '@bankhouse/kube';
import type { Database, TenantDatabase, TenantServer } from './database/index.ts';

type LeaseOptions = Parameters<typeof holdLease>[0];

/**
 * The right to write, held by one process at a time.
 *
 * Another can take the lease over LEASE_SECONDS after it was last written. A leader writes only until RENEW_SECONDS after it sent
 * its last renewal, by its own clock and whatever becomes of the next one: the election looks at its time only between tries, and a
 * try whose answers are slow, or a process that stood still, would outlast the lease. Then it is lost, and the process must exit.
 */
export interface Leadership {
  /** Resolves when this process leads; rejects never. */
  readonly acquired: Promise<void>;
  /** For the work: writes only while this process leads; reads pass. */
  readonly transport: Transport;
  /** The same database, likewise. A statement that Postgres has begun is a transaction of its own and stands. */
  guardDatabase(database: Database): Database;
  /** Ends the work's connections, then gives the lease back, so that the next leader needn't wait for its end. */
  release(): Promise<void>;
}

/**
 * @param transport where, and as whom; lease and work get connections of their own
 * @param onLost called once; the process must exit at once
 */
export function lead(options: LeaseOptions): Leadership {
  return new LeaseLeadership(options);
}

class LeaseLeadership implements Leadership {
  readonly transport: Transport;
  private readonly options: LeaseOptions;
  private readonly election: LeaderElection;
  /** Until when this process may write, by its clock; none before it leads. */
  private until: number | undefined;
  private isOver = false;
  private cancelEnd = () => {};

  constructor(options: LeaseOptions) {
    this.options = options;
    this.transport = this.guarded(options.transport.separate());
    const transport = this.hearRenewals(options.transport);
    this.election = holdLease({ ...options, transport, onLost: () => this.lose() });
  }

  get acquired(): Promise<void> {
    return this.election.acquired;
  }

  guardDatabase(database: Database): Database {
    const guarded = async <T>(write: () => Promise<T>): Promise<T> => {
      this.mayWrite();
      return write();
    };
    const tenants = (of: TenantDatabase): TenantDatabase => ({
      state: (id) => of.state(id),
      check: () => of.check(),
      ensure: (record, credentials, options) => guarded(() => of.ensure(record, credentials, options)),
      letIn: (role) => guarded(() => of.letIn(role)),
      retire: (id, uid) => guarded(() => of.retire(id, uid)),
      lift: (id) => guarded(() => of.lift(id)),
      erase: (id, uid, signal) => guarded(() => of.erase(id, uid, signal)),
      close: () => of.close(),
    });
    const server = (of: TenantServer): TenantServer => ({
      ...tenants(of),
      at: (name) => tenants(of.at(name)),
      urlOf: (name) => of.urlOf(name),
    });
    return {
      ...server(database),
      on(name) {
        const found = database.on(name);
        return found && server(found);
      },
      placement: (id, uid) => database.placement(id, uid),
      wantDatabase: (id, uid) => guarded(() => database.wantDatabase(id, uid)),
      dropDatabase: (id, uid, receipt) => guarded(() => database.dropDatabase(id, uid, receipt)),
      movesUnderWay: () => database.movesUnderWay(),
      moveOf: (id, uid) => database.moveOf(id, uid),
      beginMove: (bank, target, move) => guarded(() => database.beginMove(bank, target, move)),
      wantTarget: (id, uid) => guarded(() => database.wantTarget(id, uid)),
      switchPlacement: (id, uid, move) => guarded(() => database.switchPlacement(id, uid, move)),
      callOffMove: (id, uid) => guarded(() => database.callOffMove(id, uid)),
      finishMove: (id, uid) => guarded(() => database.finishMove(id, uid)),
      due: (now, limit) => database.due(now, limit),
      claim: (claim) => guarded(() => database.claim(claim)),
      release: (id, uid, eraseAfter) => guarded(() => database.release(id, uid, eraseAfter)),
      forget: (id, uid, receipt) => guarded(() => database.forget(id, uid, receipt)),
    };
  }

  async release(): Promise<void> {
    this.end();
    await this.transport.close();
    await this.election.release();
  }

  private guarded(transport: Transport): Transport {
    return {
      request: async (method, path, options) => {
        if (method !== 'GET') this.mayWrite();
        return transport.request(method, path, options);
      },
      stream: (path, options) => transport.stream(path, options),
      separate: () => this.guarded(transport.separate()),
      close: () => transport.close(),
    };
  }

  /** The election writes nothing but its lease, so that each of its writes that succeeds is a renewal. */
  private hearRenewals(transport: Transport): Transport {
    return {
      request: async <T>(...[method, path, options]: Parameters<Transport['request']>) => {
        const sentAt = this.options.clock.now();
        const answer = await transport.request<T>(method, path, options);
        if (method !== 'GET') this.renewed(sentAt);
        return answer;
      },
      stream: (path, options) => transport.stream(path, options),
      separate: () => this.hearRenewals(transport.separate()),
      close: () => transport.close(),
    };
  }

  private renewed(sentAt: number): void {
    if (this.isOver) return;
    const { clock } = this.options;
    this.until = sentAt + RENEW_SECONDS * 1000;
    this.cancelEnd();
    // Beside the clock, which may be set back.
    this.cancelEnd = clock.after(this.until - clock.now(), () => this.lose());
  }

  private mayWrite(): void {
    // Beside the timer, which a process that stood still runs only after what has come in meanwhile.
    if (this.until !== undefined && this.options.clock.now() >= this.until) this.lose();
    if (this.until === undefined || this.isOver) {
      throw new BankhouseError('not_leading', 'This process does not hold the lease, so it writes nothing.');
    }
  }

  private lose(): void {
    if (this.isOver) return;
    this.end();
    this.options.onLost();
  }

  private end(): void {
    this.isOver = true;
    this.cancelEnd();
  }
}
