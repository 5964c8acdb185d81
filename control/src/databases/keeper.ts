import { setTimeout as sleep } from 'node:timers/promises';
import {
  BankhouseError,
  Counter,
  databaseUrlAt,
  Gauge,
  type Logger,
  messageOf,
  type Registry,
  SERVER_DATABASE,
} from '@bankhouse/core';
import pg from 'pg';
import { readParts } from '../migrations/index.ts';
import { bringUp, drop, expectOurs, make, problemOf } from './making.ts';
import { type Ordered, orderCommon, Records, readOrders } from './registry.ts';
import { Retries } from './retries.ts';
import { readBehind, tell } from './revoking.ts';

export interface KeeperOptions {
  /** The common database, as its owner: a role with CREATEROLE, and CREATEDB where banks have databases of their own. */
  databaseUrl: string;
  /** Further servers, on which banks are too. */
  servers?: readonly KeptServer[];
  migrationsDir: string;
  logger: Logger;
  registry: Registry;
}

export interface KeptServer {
  name: string;
  /** As the owner, in any database there; undefined: its Secret is not there. */
  url: string | undefined;
  /** What `bankhouse_operator` is to sign in with there. */
  operatorPassword: string;
}

/**
 * Makes, migrates and drops the databases that banks have of their own, as control.databases orders it, and the common ones of further
 * servers, and tells them which tokens are revoked; nobody else holds a password that may. Two at once do no harm: what is done twice is as done once.
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
  const generation = readParts(options.migrationsDir, ['tenants'])[0]?.generation ?? 0;
  const keepers: ServerKeeper[] = [];
  const metrics = createMetrics(options.registry, keepers);
  const { databaseUrl, servers = [] } = options;
  for (const home of [{ url: databaseUrl }, ...servers]) {
    keepers.push(new ServerKeeper(options, home, { generation, metrics }));
  }
  return {
    start: () => {
      for (const keeper of keepers) keeper.start();
    },
    get isReady() {
      return keepers.every(({ isReady }) => isReady);
    },
    async stop() {
      await Promise.all(keepers.map((keeper) => keeper.stop()));
    },
  };
}

interface Metrics {
  done: Counter<'what'>;
  failures: Counter;
}

function createMetrics(registry: Registry, keepers: readonly ServerKeeper[]): Metrics {
  const registers = [registry];
  const sum = (of: (keeper: ServerKeeper) => number) => keepers.reduce((amount, keeper) => amount + of(keeper), 0);
  new Gauge({
    name: 'bankhouse_databases_untold',
    help: 'Databases that were not told what is revoked, the last try having failed.',
    registers,
    collect() {
      this.set(sum(({ untold }) => untold));
    },
  });
  new Gauge({
    name: 'bankhouse_databases_failing',
    help: 'Databases that are not as ordered, the last try having failed.',
    registers,
    collect() {
      this.set(sum(({ failing }) => failing));
    },
  });
  return {
    done: new Counter({
      name: 'bankhouse_databases_done_total',
      help: 'Databases that were migrated, dropped, or told what is revoked.',
      labelNames: ['what'] as const,
      registers,
    }),
    failures: new Counter({
      name: 'bankhouse_databases_failures_total',
      help: 'Tries at databases that failed.',
      registers,
    }),
  };
}

/** Where a keeper works. */
interface Home {
  /** Of a further server; undefined: the platform's own. */
  name?: string;
  /** As the owner, in a database that is there. Undefined: nobody said where it is. */
  url: string | undefined;
  /** What `bankhouse_operator` signs in with there. */
  operatorPassword?: string;
}

/** Keeps the databases of one server, so that one which is away holds up none of the others. */
class ServerKeeper {
  isReady = false;
  readonly #options: KeeperOptions;
  readonly #home: Home;
  readonly #generation: number;
  readonly #metrics: Metrics;
  readonly #stopping = new AbortController();
  readonly #working = new Map<string, { upgrade: boolean; done: Promise<void> }>();
  readonly #failed = new Retries();
  readonly #telling = new Map<string, Promise<void>>();
  readonly #untold = new Retries();
  /** Its common database is looked after once by each process, so that the operator's password is that of now. */
  #isCommonDone = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions, home: Home, { generation, metrics }: { generation: number; metrics: Metrics }) {
    this.#options = options;
    this.#home = home;
    this.#generation = generation;
    this.#metrics = metrics;
  }

  get failing(): number {
    return this.#failed.size;
  }

  get untold(): number {
    return this.#untold.waiting().length;
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
    const { name } = this.#home;
    if (name !== undefined) await orderCommon(client, name);
    while (!this.#stopping.signal.aborted) {
      const also = this.#isCommonDone ? undefined : SERVER_DATABASE;
      const orders = await readOrders(client, name, { generation: this.#generation, also });
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

  async #carryOut(order: Ordered): Promise<void> {
    const { name, goes } = order;
    const { logger } = this.#options;
    const server = this.#home.name;
    try {
      if (goes) await this.#atServer((client) => drop(client, name));
      else await this.#bringUp(order);
      await this.#connected(async (client) => {
        const records = new Records(client, server);
        await (goes ? records.wasDropped(name) : records.wasMigrated(name, this.#generation));
      });
      if (goes) this.#untold.succeeded(name);
      if (isCommon(order)) this.#isCommonDone = true;
      this.#failed.succeeded(name);
      this.#metrics.done.inc({ what: goes ? 'dropped' : 'migrated' });
      const done = goes ? 'database dropped' : 'database migrated';
      logger.info({ server, name, generation: this.#generation }, done);
    } catch (error) {
      await this.#failedAt(name, error);
    }
  }

  async #bringUp(order: Ordered): Promise<void> {
    const { migrationsDir, logger } = this.#options;
    const { name, generation } = order;
    const server = this.#home.name;
    const url = await this.#atServer(async (client) => {
      // One that the owner was given is as it was given.
      if (client.database !== name) await (generation === null ? make : expectOurs)(client, name);
      return this.#url();
    });
    await bringUp(url, name, {
      migrationsDir,
      log: (message) => logger.debug({ server, name }, message),
      common: isCommon(order),
      operatorPassword: isCommon(order) ? this.#home.operatorPassword : undefined,
    });
  }

  async #failedAt(name: string, error: unknown): Promise<void> {
    this.#failed.failed(name);
    this.#metrics.failures.inc();
    const problem = problemOf(error);
    const server = this.#home.name;
    this.#options.logger.warn({ server, name, reason: problem }, 'database not as ordered');
    // Where the registry is away the problem can't be written down, and is everybody's.
    await this.#connected((client) => new Records(client, server).hasProblem(name, problem)).catch(() => {});
  }

  async #beginTelling(client: pg.Client): Promise<void> {
    const free = TOLD_AT_ONCE - this.#telling.size;
    if (free === 0) return;
    const without = [...this.#telling.keys(), ...this.#untold.waiting()];
    for (const name of await readBehind(client, this.#home.name, { without, limit: free })) {
      const done = this.#tell(name).finally(() => this.#telling.delete(name));
      this.#telling.set(name, done);
    }
  }

  async #tell(name: string): Promise<void> {
    const server = this.#home.name;
    try {
      const own = { connectionString: databaseUrlAt(this.#url(), name), query_timeout: TELL_TIMEOUT_MS };
      await this.#connected((common) => this.#connected((client) => tell(common, client, { name, server }), own));
      this.#untold.succeeded(name);
      this.#metrics.done.inc({ what: 'told' });
    } catch (error) {
      this.#untold.failed(name);
      this.#metrics.failures.inc();
      this.#options.logger.warn({ server, name, reason: messageOf(error) }, 'database not told what is revoked');
    }
  }

  #url(): string {
    const { url, name } = this.#home;
    if (url !== undefined) return url;
    const message = `The Secret of the server "${name}" (database.servers of the chart) had no host, username and password when bankhouse-databases started: make it, and restart that Deployment.`;
    throw new BankhouseError('server_unknown', message);
  }

  /** As the owner at the server, for what is about databases there. */
  async #atServer<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
    const connectionString = this.#url();
    let reached = false;
    try {
      return await this.#connected(
        (client) => {
          reached = true;
          return use(client);
        },
        { connectionString },
      );
    } catch (error) {
      if (reached || this.#home.name === undefined) throw error;
      const refuses = error instanceof pg.DatabaseError && /^(28|3D000)/.test(error.code ?? '');
      const what = refuses ? "refuses the owner's sign-in" : "can't be reached";
      const message = `Postgres "${this.#home.name}" at ${new URL(connectionString).host} ${what} (${messageOf(error)}); compare its Secret, which database.servers of the chart names.`;
      throw new BankhouseError('server_away', message, { cause: error });
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

function isCommon({ name }: Ordered): boolean {
  return name === SERVER_DATABASE;
}

function isUpgrade({ generation, goes }: Ordered): boolean {
  return generation !== null && !goes;
}
