import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Gauge, type Logger, messageOf, type Registry } from '@bankhouse/core';
import { Book, type Ended, Lookout, type Strike, strikeIn } from './connections.ts';

const EVERY_MS = 200;
const SWEEP_EVERY_MS = 5000;
const RETRY_MS = 500;
/** A strike in a bank's own database that fails so often is given up: its sessions are ended still, and the next one is tried again. */
const TRIES_ELSEWHERE = 20;

export interface WatchdogOptions {
  /** The operator's own login, straight to Postgres. */
  url: string;
  /** The same at the common databases of further servers, by name: each has a watchdog of its own. */
  servers?: ReadonlyMap<string, string>;
  logger: Logger;
  registry: Registry;
  everyMs?: number;
  /** Whether sessions that say what no bank server says are ended: true unless given. Not where banks' images have SQL of their own. */
  judgesStatements?: boolean;
  /** Of 0 to 1. */
  random?: () => number;
  /** Sessions of a bank were ended; of one with a database of its own, it is written down there too. Must not throw. */
  onEnded?: (bank: string, reason: string) => void;
  /** A bank was quarantined just now. Must not throw. */
  onQuarantined?: (bank: string, reason: string) => void;
}

/**
 * Ends sessions of banks' roles that do what no bank server does, and quarantines banks that repeat it. Every replica of the operator
 * runs one, whoever leads: two do no harm, and when one goes the other is there already.
 */
export interface Watchdog {
  start(): void;
  /** Waits for what is under way, and closes its connections. */
  stop(): Promise<void>;
  /**
   * For what this watchdog quarantined the bank, since it started; undefined where it did not, or where it was told that the
   * quarantine is over. What admin.bank_state says is the truth.
   */
  quarantinedOf(bank: string): string | undefined;
  /** The quarantine was lifted. */
  forget(bank: string): void;
}

export function createWatchdog({ servers = new Map(), registry, ...options }: WatchdogOptions): Watchdog {
  const ended = new Counter({
    name: 'bankhouse_operator_watchdog_ended_total',
    help: 'Sessions of banks that the watchdog ended, by reason.',
    labelNames: ['reason'] as const,
    registers: [registry],
  });
  const dogs = new Map(
    [['platform', options.url] as const, ...servers].map(([server, url]) => [
      server,
      new PollingWatchdog({ ...options, url, ended, logger: options.logger.child({ server }) }),
    ]),
  );
  new Gauge({
    name: 'bankhouse_operator_watchdog_watching',
    help: 'Whether the watchdog of this replica can look at the server.',
    labelNames: ['server'] as const,
    registers: [registry],
    collect() {
      for (const [server, dog] of dogs) this.set({ server }, dog.isWatching ? 1 : 0);
    },
  });
  const all = [...dogs.values()];
  return {
    start: () => {
      for (const dog of all) dog.start();
    },
    async stop() {
      await Promise.all(all.map((dog) => dog.stop()));
    },
    quarantinedOf: (bank) => all.map((dog) => dog.quarantinedOf(bank)).find((reason) => reason !== undefined),
    forget: (bank) => {
      for (const dog of all) dog.forget(bank);
    },
  };
}

interface OwedElsewhere {
  readonly reason: string;
  readonly database: string;
  /** How often it failed. */
  readonly tries: number;
}

type ServerOptions = Omit<WatchdogOptions, 'registry' | 'servers'> & { ended: Counter<'reason'> };

/** Of one server. */
class PollingWatchdog implements Watchdog {
  readonly #options: ServerOptions;
  readonly #stopping = new AbortController();
  readonly #quarantined = new Map<string, string>();
  /** Strikes that are not written down yet, by role. */
  readonly #owed = new Map<string, string>();
  /** The same of banks with databases of their own, which are written down there. */
  readonly #owedElsewhere = new Map<string, OwedElsewhere>();
  /** Ends the pause of what writes. */
  #wake = new AbortController();
  #wakeElsewhere = new AbortController();
  #watching = false;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  get isWatching(): boolean {
    return this.#watching;
  }

  start(): void {
    this.#loops = Promise.all([
      this.#keep(
        'look',
        (url) => Lookout.open(url, this.#options.judgesStatements ?? true),
        (lookout) => this.#watch(lookout),
      ),
      this.#keep('write', Book.open, (book) => this.#write(book)),
      this.#writeElsewhere(),
    ]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loops;
  }

  quarantinedOf(bank: string): string | undefined {
    return this.#quarantined.get(bank);
  }

  forget(bank: string): void {
    this.#quarantined.delete(bank);
  }

  /** Opens a connection and uses it until it fails or the watchdog stops; then opens the next one. */
  async #keep<C extends { close(): Promise<void> }>(
    purpose: string,
    open: (url: string) => Promise<C>,
    use: (connection: C) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#stopping;
    let said = '';
    while (!signal.aborted) {
      let connection: C | undefined;
      try {
        connection = await open(this.#options.url);
        said = '';
        await use(connection);
      } catch (error) {
        const reason = messageOf(error);
        // A server may be away for long.
        if (reason !== said) this.#options.logger.warn({ purpose, reason }, "the watchdog's connection failed");
        said = reason;
      }
      await connection?.close().catch(() => {});
      if (purpose === 'look') this.#watching = false;
      await this.#pause(RETRY_MS);
    }
  }

  async #watch(lookout: Lookout): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      for (const ended of await lookout.look()) this.#tell(ended);
      this.#watching = true;
      // By chance, so that nobody can be quiet just then.
      await this.#pause((this.#options.everyMs ?? EVERY_MS) * (0.25 + 1.5 * (this.#options.random ?? Math.random)()));
    }
  }

  async #write(book: Book): Promise<void> {
    const everyMs = this.#options.everyMs ?? EVERY_MS;
    for (let turn = 0; !this.#stopping.signal.aborted; turn++) {
      for (const [role, reason] of [...this.#owed]) {
        // A new one may come meanwhile, so it is taken off before; a failure puts it back.
        this.#owed.delete(role);
        try {
          await this.#strike(book, role, reason);
        } catch (error) {
          // Soon again, but by a connection that is surely sound.
          this.#owed.set(role, this.#owed.get(role) ?? reason);
          throw error;
        }
      }
      if (turn % Math.ceil(SWEEP_EVERY_MS / everyMs) === 0) await this.#sweep(book);
      this.#wake = new AbortController();
      if (this.#owed.size === 0) await this.#pause(everyMs, this.#wake.signal);
    }
  }

  async #strike(book: Book, role: string, reason: string): Promise<void> {
    const strike = await book.strike(role, reason);
    if (strike.bank !== null) return this.#counted(strike, reason);
    const database = await book.databaseOf(role);
    // Its role is gone meanwhile.
    if (database === undefined) return;
    this.#owedElsewhere.set(role, { reason, database, tries: 0 });
    this.#wakeElsewhere.abort();
  }

  /**
   * Strikes in databases that are banks' own: over one connection at a time, and apart from all others, since whoever has such a database may
   * hold up who comes into it, until the lookout ends that.
   */
  async #writeElsewhere(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#wakeElsewhere = new AbortController();
      const owed = [...this.#owedElsewhere];
      for (const [role, strike] of owed) {
        if (this.#stopping.signal.aborted) return;
        this.#owedElsewhere.delete(role);
        await this.#strikeElsewhere(role, strike);
      }
      await this.#pause(RETRY_MS, this.#wakeElsewhere.signal);
    }
  }

  async #strikeElsewhere(role: string, { reason, database, tries }: OwedElsewhere): Promise<void> {
    try {
      const strike = await strikeIn(database, this.#options.url, role, reason);
      if (strike.bank !== null) this.#options.onEnded?.(strike.bank, reason);
      this.#counted(strike, reason);
    } catch (error) {
      this.#options.logger.warn(
        { role, database, reason: messageOf(error) },
        "a strike in a bank's own database failed",
      );
      if (tries + 1 >= TRIES_ELSEWHERE || this.#owedElsewhere.has(role)) return;
      this.#owedElsewhere.set(role, { reason, database, tries: tries + 1 });
    }
  }

  async #sweep(book: Book): Promise<void> {
    for (const { role, removed } of await book.sweep()) {
      this.#options.logger.warn({ role, removed }, "large objects of a bank's role were removed");
      this.#owed.set(role, 'made large objects');
    }
  }

  #tell({ role, bank, reason, sessions }: Ended): void {
    this.#options.logger.warn({ role, bank, reason, sessions }, 'sessions of a bank were ended');
    this.#options.ended.inc({ reason }, sessions);
    this.#owed.set(role, reason);
    this.#wake.abort();
    if (bank !== null) this.#options.onEnded?.(bank, reason);
  }

  #counted({ bank, strikes, quarantined }: Strike, reason: string): void {
    if (bank === null || quarantined !== true || this.#quarantined.has(bank)) return;
    this.#quarantined.set(bank, reason);
    this.#options.logger.error({ bank, reason, strikes }, 'bank quarantined');
    this.#options.onQuarantined?.(bank, reason);
  }

  async #pause(ms: number, wake?: AbortSignal): Promise<void> {
    const signals = [this.#stopping.signal, ...(wake === undefined ? [] : [wake])];
    await sleep(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => {});
  }
}
