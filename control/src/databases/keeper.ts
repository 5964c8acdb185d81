import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, databaseUrlAt, Gauge, type Logger, messageOf, type Registry } from '@bankhouse/core';
import pg from 'pg';
import { readParts } from '../migrations/index.ts';
import { bringUp, drop, make, problemOf } from './making.ts';
import { hasProblem, type Ordered, readOrders, wasDropped, wasMigrated } from './registry.ts';
import { Retries } from './retries.ts';
import { type Behind, readBehind, tell } from './revoking.ts';

export interface KeeperOptions {
  /** The common database, as its owner: a role with CREATEDB, CREATEROLE. */
  databaseUrl: string;
  migrationsDir: string;
  logger: Logger;
  registry: Registry;
}

/**
 * Makes, migrates and drops the databases that banks have of their own, as control.databases orders it, and tells them which tokens are
 * revoked; nobody else holds a password that may. Two at once do no harm: what is done twice is as done once.
 */
export interface Keeper {
  start(): void;
  /** It can read the orders. */
  readonly isReady: boolean;
  /** Takes nothing new on, and waits for what is under way. */
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 300;
const RECONNECT_MS = 1_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** So many are worked on at a time, and so many of those there already that are brought to a newer generation. */
const AT_ONCE = 4;
const UPGRADES_AT_ONCE = 3;
/** So many are told of revocations at a time. */
const TOLD_AT_ONCE = 4;
/** Of one statement that tells; nobody may keep the others from being told. */
const TELL_TIMEOUT_MS = 5_000;

export function createKeeper(options: KeeperOptions): Keeper {
  return new PollingKeeper(options);
}

class PollingKeeper implements Keeper {
  isReady = false;
  readonly #options: KeeperOptions;
  readonly #generation: number;
  readonly #stopping = new AbortController();
  readonly #working = new Map<string, { upgrade: boolean; done: Promise<void> }>();
  readonly #failed = new Retries();
  readonly #telling = new Map<string, Promise<void>>();
  readonly #untold = new Retries();
  readonly #done: Counter<'what'>;
  readonly #failures: Counter;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#generation = readParts(options.migrationsDir, ['tenants'])[0]?.generation ?? 0;
    const registers = [options.registry];
    this.#done = new Counter({
      name: 'bankhouse_databases_done_total',
      help: "Databases of banks' own that were migrated, dropped, or told what is revoked.",
      labelNames: ['what'] as const,
      registers,
    });
    this.#failures = new Counter({
      name: 'bankhouse_databases_failures_total',
      help: "Tries at databases of banks' own that failed.",
      registers,
    });
    const failed = () => this.#failed.size;
    const untold = () => this.#untold.waiting().length;
    new Gauge({
      name: 'bankhouse_databases_untold',
      help: "Databases of banks' own that were not told what is revoked, the last try having failed.",
      registers,
      collect() {
        this.set(untold());
      },
    });
    new Gauge({
      name: 'bankhouse_databases_failing',
      help: "Databases of banks' own that are not as ordered, the last try having failed.",
      registers,
      collect() {
        this.set(failed());
      },
    });
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await Promise.all([...this.#working.values()].map(({ done }) => done));
    await Promise.all(this.#telling.values());
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#connected((client) => this.#look(client));
      } catch (error) {
        this.isReady = false;
        this.#options.logger.warn({ reason: messageOf(error) }, 'the orders can not be read');
        await this.#pause(RECONNECT_MS);
      }
    }
  }

  async #look(client: pg.Client): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const orders = await readOrders(client, this.#generation);
      this.isReady = true;
      const names = new Set(orders.map(({ name }) => name));
      this.#failed.keep(names);
      for (const order of orders) if (this.#mayBegin(order)) this.#begin(order);
      await this.#beginTelling(client);
      await this.#pause(LOOK_EVERY_MS);
    }
  }

  #mayBegin(order: Ordered): boolean {
    if (this.#working.has(order.name) || this.#working.size >= AT_ONCE) return false;
    const upgrades = [...this.#working.values()].filter(({ upgrade }) => upgrade).length;
    if (isUpgrade(order) && upgrades >= UPGRADES_AT_ONCE) return false;
    return this.#failed.mayTry(order.name);
  }

  #begin(order: Ordered): void {
    const done = this.#carryOut(order).finally(() => this.#working.delete(order.name));
    this.#working.set(order.name, { upgrade: isUpgrade(order), done });
  }

  async #carryOut({ name, goes }: Ordered): Promise<void> {
    const { databaseUrl, migrationsDir, logger } = this.#options;
    try {
      await this.#connected(async (client) => {
        if (goes) {
          await drop(client, name);
          await wasDropped(client, name);
          this.#untold.succeeded(name);
        } else {
          await make(client, name);
          await bringUp(databaseUrl, name, { migrationsDir, log: (message) => logger.debug({ name }, message) });
          await wasMigrated(client, name, this.#generation);
        }
      });
      this.#failed.succeeded(name);
      this.#done.inc({ what: goes ? 'dropped' : 'migrated' });
      logger.info({ name, generation: this.#generation }, goes ? 'database dropped' : 'database migrated');
    } catch (error) {
      await this.#failedAt(name, error);
    }
  }

  async #failedAt(name: string, error: unknown): Promise<void> {
    this.#failed.failed(name);
    this.#failures.inc();
    const problem = problemOf(error);
    this.#options.logger.warn({ name, reason: problem }, 'database not as ordered');
    // Where the server is away the problem can't be written down, and is everybody's.
    await this.#connected((client) => hasProblem(client, name, problem)).catch(() => {});
  }

  async #beginTelling(client: pg.Client): Promise<void> {
    const free = TOLD_AT_ONCE - this.#telling.size;
    if (free === 0) return;
    for (const behind of await readBehind(client, [...this.#telling.keys(), ...this.#untold.waiting()], free)) {
      const done = this.#tell(behind).finally(() => this.#telling.delete(behind.name));
      this.#telling.set(behind.name, done);
    }
  }

  async #tell(behind: Behind): Promise<void> {
    const { name } = behind;
    const own = { connectionString: databaseUrlAt(this.#options.databaseUrl, name), query_timeout: TELL_TIMEOUT_MS };
    try {
      await this.#connected((common) => this.#connected((client) => tell(common, client, behind), own));
      this.#untold.succeeded(name);
      this.#done.inc({ what: 'told' });
    } catch (error) {
      this.#untold.failed(name);
      this.#failures.inc();
      this.#options.logger.warn({ name, reason: messageOf(error) }, 'database not told what is revoked');
    }
  }

  async #connected<T>(use: (client: pg.Client) => Promise<T>, config: pg.ClientConfig = {}): Promise<T> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      ...config,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'bankhouse-databases',
      keepAlive: true,
    });
    client.on('error', () => {});
    try {
      await client.connect();
      return await use(client);
    } finally {
      await client.end().catch(() => {});
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

function isUpgrade({ generation, goes }: Ordered): boolean {
  return generation !== null && !goes;
}
