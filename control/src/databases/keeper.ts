import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Gauge, type Logger, messageOf, type Registry } from '@bankhouse/core';
import pg from 'pg';
import { readParts } from '../migrations/index.ts';
import { bringUp, drop, make, problemOf } from './making.ts';
import { hasProblem, type Ordered, readOrders, wasDropped, wasMigrated } from './registry.ts';

export interface KeeperOptions {
  /** The common database, as its owner: a role with CREATEDB, CREATEROLE. */
  databaseUrl: string;
  migrationsDir: string;
  logger: Logger;
  registry: Registry;
}

/**
 * Makes, migrates and drops the databases that banks have of their own, as control.databases orders it; nobody else holds a password that
 * may. Two at once do no harm: what is done twice is as done once.
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
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

export function createKeeper(options: KeeperOptions): Keeper {
  return new PollingKeeper(options);
}

class PollingKeeper implements Keeper {
  isReady = false;
  readonly #options: KeeperOptions;
  readonly #generation: number;
  readonly #stopping = new AbortController();
  readonly #working = new Map<string, { upgrade: boolean; done: Promise<void> }>();
  /** Those that failed: how often, and when each may be tried again. */
  readonly #failed = new Map<string, { times: number; until: number }>();
  readonly #done: Counter<'what'>;
  readonly #failures: Counter;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#generation = readParts(options.migrationsDir, ['tenants'])[0]?.generation ?? 0;
    const registers = [options.registry];
    this.#done = new Counter({
      name: 'bankhouse_databases_done_total',
      help: "Databases of banks' own that were migrated or dropped.",
      labelNames: ['what'] as const,
      registers,
    });
    this.#failures = new Counter({
      name: 'bankhouse_databases_failures_total',
      help: "Tries at databases of banks' own that failed.",
      registers,
    });
    const failed = () => this.#failed.size;
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
      for (const name of this.#failed.keys()) if (!names.has(name)) this.#failed.delete(name);
      for (const order of orders) if (this.#mayBegin(order)) this.#begin(order);
      await this.#pause(LOOK_EVERY_MS);
    }
  }

  #mayBegin(order: Ordered): boolean {
    if (this.#working.has(order.name) || this.#working.size >= AT_ONCE) return false;
    const upgrades = [...this.#working.values()].filter(({ upgrade }) => upgrade).length;
    if (isUpgrade(order) && upgrades >= UPGRADES_AT_ONCE) return false;
    return (this.#failed.get(order.name)?.until ?? 0) <= performance.now();
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
        } else {
          await make(client, name);
          await bringUp(databaseUrl, name, { migrationsDir, log: (message) => logger.debug({ name }, message) });
          await wasMigrated(client, name, this.#generation);
        }
      });
      this.#failed.delete(name);
      this.#done.inc({ what: goes ? 'dropped' : 'migrated' });
      logger.info({ name, generation: this.#generation }, goes ? 'database dropped' : 'database migrated');
    } catch (error) {
      await this.#failedAt(name, error);
    }
  }

  async #failedAt(name: string, error: unknown): Promise<void> {
    const times = (this.#failed.get(name)?.times ?? 0) + 1;
    const pause = Math.min(FIRST_RETRY_MS * 2 ** (times - 1), LAST_RETRY_MS);
    this.#failed.set(name, { times, until: performance.now() + pause });
    this.#failures.inc();
    const problem = problemOf(error);
    this.#options.logger.warn({ name, reason: problem }, 'database not as ordered');
    // Where the server is away the problem can't be written down, and is everybody's.
    await this.#connected((client) => hasProblem(client, name, problem)).catch(() => {});
  }

  async #connected<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
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
