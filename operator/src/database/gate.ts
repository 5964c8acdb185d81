import { type Logger, messageOf } from '@bankhouse/core';
import { type Clock, jitteredBackoff } from '@bankhouse/kube';
import { type Database, DatabaseError, type TenantDatabase, type TenantServer } from './database.ts';

/** One who asks for all whether a database is back. */
export interface Gate {
  /** It was found away; until it is back every call fails at once, as the one did that found it. */
  readonly isAway: boolean;
  /** The key is given to `onBack` once, when the database is back. */
  wakeWhenBack(key: string): void;
}

export type TenantGate = TenantDatabase & Gate;

/** The common database of a server behind a gate, and each database of a bank's own there behind one of its own. */
export interface ServerGate extends TenantServer, Gate {
  at(name: string): TenantGate;
  /** Closes the connections to a database of a bank's own, and forgets its gate; the next `at` opens both again. */
  leave(name: string): Promise<void>;
}

/** The platform's own server, and each further one, behind gates of its own: one that is away keeps nobody elsewhere waiting. */
export interface DatabaseGate extends Database, ServerGate {
  at(name: string): TenantGate;
  on(server: string): ServerGate | undefined;
  /** Asks no more. */
  stop(): void;
  /** Closes the connections to all databases of banks' own. */
  leaveAll(): Promise<void>;
}

export interface GateOptions {
  clock: Clock;
  logger: Logger;
  onBack: (keys: readonly string[]) => void;
}

const FIRST_MS = 500;
const MAX_MS = 5_000;
const AWAY = new Set(['unreachable', 'access_refused', 'not_migrated']);

/**
 * A database that is away costs one question every few seconds, however many banks wait for it: the first failure closes the gate, one
 * probe opens it again, and then everybody who waits is woken.
 *
 * | gate   | a call                     | the probe                     |
 * |--------|----------------------------|-------------------------------|
 * | open   | is made; away → closed     |                               |
 * | closed | fails as the one that closed it | succeeds → open, wakes all; fails → again, with backoff |
 */
class ProbingGate implements Gate {
  private readonly options: GateOptions & { name: string; check: () => Promise<void> };
  private readonly waiting = new Set<string>();
  private closed: { error: DatabaseError; attempt: number } | undefined;
  private cancel = () => {};
  private stopped = false;

  constructor(options: GateOptions & { name: string; check: () => Promise<void> }) {
    this.options = options;
  }

  get isAway(): boolean {
    return this.closed !== undefined;
  }

  /** As what it was found away. */
  get error(): DatabaseError | undefined {
    return this.closed?.error;
  }

  wakeWhenBack(key: string): void {
    if (this.closed === undefined) this.options.onBack([key]);
    else this.waiting.add(key);
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  async pass<T>(call: () => Promise<T>): Promise<T> {
    if (this.closed !== undefined) throw this.closed.error;
    try {
      return await call();
    } catch (error) {
      if (error instanceof DatabaseError && AWAY.has(error.code)) this.close(error);
      throw error;
    }
  }

  private close(error: DatabaseError): void {
    if (this.closed !== undefined || this.stopped) return;
    this.closed = { error, attempt: 0 };
    this.options.logger.warn({ name: this.options.name, code: error.code, reason: error.message }, 'database away');
    this.later();
  }

  private later(): void {
    if (this.closed === undefined || this.stopped) return;
    const { clock } = this.options;
    const ms = Math.max(FIRST_MS, jitteredBackoff(clock, this.closed.attempt, 2 * FIRST_MS, MAX_MS));
    this.closed.attempt += 1;
    this.cancel = clock.after(ms, () => void this.probe());
  }

  private async probe(): Promise<void> {
    try {
      await this.options.check();
    } catch (error) {
      if (this.closed !== undefined && error instanceof DatabaseError) this.closed.error = error;
      else this.options.logger.warn({ reason: messageOf(error) }, 'database probe broke');
      this.later();
      return;
    }
    this.open();
  }

  private open(): void {
    if (this.closed === undefined || this.stopped) return;
    this.closed = undefined;
    const keys = [...this.waiting];
    this.waiting.clear();
    this.options.logger.info({ name: this.options.name, waiting: keys.length }, 'database back');
    this.options.onBack(keys);
  }
}

export function createDatabaseGate(database: Database, options: GateOptions): DatabaseGate {
  const platform = createServerGate(database, { ...options, name: 'common' });
  const further = new Map<string, ClosableGate>();
  const { pass } = platform;
  const all = () => [platform, ...further.values()];

  return {
    ...platform.gate,
    get isAway() {
      return platform.gate.isAway;
    },
    on(name) {
      const server = database.on(name);
      if (server === undefined) return undefined;
      const opened = further.get(name) ?? createServerGate(server, { ...options, name });
      further.set(name, opened);
      return opened.gate;
    },
    async leaveAll() {
      await Promise.all(all().map((server) => server.leaveAll()));
    },
    stop() {
      for (const server of all()) server.stop();
    },
    claim: (claim) => pass(() => database.claim(claim)),
    release: (id, uid, eraseAfter) => pass(() => database.release(id, uid, eraseAfter)),
    due: (now, limit) => pass(() => database.due(now, limit)),
    forget: (id, uid, receipt) => pass(() => database.forget(id, uid, receipt)),
    placement: (id, uid) => pass(() => database.placement(id, uid)),
    wantDatabase: (id, uid) => pass(() => database.wantDatabase(id, uid)),
    dropDatabase: (id, uid, receipt) => pass(() => database.dropDatabase(id, uid, receipt)),
    movesUnderWay: () => pass(() => database.movesUnderWay()),
    moveOf: (id, uid) => pass(() => database.moveOf(id, uid)),
    beginMove: (bank, target, move) => pass(() => database.beginMove(bank, target, move)),
    wantTarget: (id, uid) => pass(() => database.wantTarget(id, uid)),
    switchPlacement: (id, uid, move) => pass(() => database.switchPlacement(id, uid, move)),
    callOffMove: (id, uid) => pass(() => database.callOffMove(id, uid)),
    finishMove: (id, uid) => pass(() => database.finishMove(id, uid)),
  };
}

interface ClosableGate {
  readonly gate: ServerGate;
  pass<T>(call: () => Promise<T>): Promise<T>;
  stop(): void;
  leaveAll(): Promise<void>;
}

function createServerGate(server: TenantServer, options: GateOptions & { name: string }): ClosableGate {
  const common = new ProbingGate({ ...options, check: () => server.check() });
  const own = new Map<string, { gate: ProbingGate; database: TenantDatabase; tenants: TenantGate }>();

  function open(name: string) {
    const found = server.at(name);
    // While the server is away it is asked for once, not for each of its databases.
    const check = async () => {
      if (common.error !== undefined) throw common.error;
      await found.check();
    };
    const gate = new ProbingGate({ ...options, name, check });
    return { gate, database: found, tenants: tenantGate(found, gate) };
  }

  async function leave(name: string): Promise<void> {
    const opened = own.get(name);
    own.delete(name);
    opened?.gate.stop();
    await opened?.database.close();
  }

  const gate: ServerGate = {
    ...tenantGate(server, common),
    get isAway() {
      return common.isAway;
    },
    at(name) {
      const opened = own.get(name) ?? open(name);
      own.set(name, opened);
      return opened.tenants;
    },
    leave,
    urlOf: (name) => server.urlOf(name),
  };
  return {
    gate,
    pass: (call) => common.pass(call),
    stop() {
      common.stop();
      for (const opened of own.values()) opened.gate.stop();
    },
    async leaveAll() {
      await Promise.all([...own.keys()].map(leave));
    },
  };
}

function tenantGate(database: TenantDatabase, gate: ProbingGate): TenantGate {
  const pass = <T>(call: () => Promise<T>) => gate.pass(call);
  return {
    get isAway() {
      return gate.isAway;
    },
    wakeWhenBack: (key) => gate.wakeWhenBack(key),
    state: (id) => pass(() => database.state(id)),
    ensure: (record, credentials, force) => pass(() => database.ensure(record, credentials, force)),
    letIn: (role) => pass(() => database.letIn(role)),
    retire: (id, uid) => pass(() => database.retire(id, uid)),
    lift: (id) => pass(() => database.lift(id)),
    erase: (id, uid, signal) => pass(() => database.erase(id, uid, signal)),
    check: () => database.check(),
    close: () => database.close(),
  };
}
