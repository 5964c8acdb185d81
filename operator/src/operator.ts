import { type Bank, type BankClass, isDefaultClass, type Logger, type McpServer, messageOf } from '@bankhouse/core';
import {
  type Clock,
  createScopedReflector,
  type KubeObject,
  keyOf,
  type Notice,
  type Outcome,
  type Reflector,
  type ReflectorMetrics,
  startWorkers,
  type Transport,
  type Workers,
  WorkQueue,
} from '@bankhouse/kube';
import { createApplier } from './cluster/apply.ts';
import { createEventRecorder } from './cluster/events.ts';
import { FreshCache } from './cluster/fresh-cache.ts';
import { BANK_CLASSES_PATH, BANKS_PATH, MCP_SERVERS_PATH } from './cluster/paths.ts';
import { CHILD_API, CHILD_SELECTOR, type StoredChild, trimChild } from './cluster/stored.ts';
import type { Database } from './database/index.ts';
import type { OperatorMetrics } from './metrics.ts';
import { createProber, type FrontDoor } from './probe/index.ts';
import { createBankReconciler } from './reconcile-bank.ts';
import { createClassReconciler } from './reconcile-class.ts';
import { bankKeyOf, createMcpServerReconciler } from './reconcile-mcp-server.ts';
import { CHILD_KINDS, type ChildKind } from './resources/index.ts';
import type { Settings } from './settings.ts';
import { BankIndex, type Caches } from './snapshot.ts';
import type { Means } from './steps/index.ts';

export interface OperatorOptions {
  transport: Transport;
  database: Database;
  frontDoor: FrontDoor;
  settings: Settings;
  /** Whose Banks are served; empty or absent: all. */
  namespaces?: readonly string[];
  clock: Clock;
  logger: Logger;
  workers: number;
  /** How often a bank that answers is asked again, in milliseconds. */
  verifyEvery: number;
  /** Name of this process in Events. */
  instance: string;
  metrics?: { operator: OperatorMetrics; reflectors: ReflectorMetrics };
}

export interface Operator {
  /** Lists everything, then begins to work. */
  start(): Promise<void>;
  readonly isSynced: boolean;
  /** Nothing waits and nothing is worked on; for tests. */
  readonly isIdle: boolean;
  /** Takes nothing new on, lets workers finish for at most 30 seconds, ends every watch. */
  stop(): Promise<void>;
}

type Kind = 'Bank' | 'BankClass' | 'McpServer';

const DRAIN_MS = 30_000;
/** A class's count of banks is written at most this often, however many banks come and go. */
const COUNT_AFTER_MS = 5_000;

/** Wires watches → queue → passes; decides nothing itself. */
export function createOperator(options: OperatorOptions): Operator {
  return new RunningOperator(options);
}

class RunningOperator implements Operator {
  isSynced = false;
  private readonly options: OperatorOptions;
  private readonly queue: WorkQueue;
  private readonly index = new BankIndex();
  private readonly caches: Caches;
  private readonly means: Means;
  private readonly reflectors: Reflector<KubeObject>[] = [];
  private readonly passes: Record<Kind, (key: string) => Promise<Outcome>>;
  private workers: Workers | undefined;

  constructor(options: OperatorOptions) {
    this.options = options;
    const { clock, logger } = options;
    const transport = options.metrics?.operator.countWrites(options.transport) ?? options.transport;
    this.queue = new WorkQueue(clock);
    options.metrics?.operator.watchQueue(this.queue);
    this.caches = {
      banks: this.watch<Bank>({
        path: BANKS_PATH,
        trim: trimBank,
        onChange: (key, notice, isNews) => this.heardBank(key, notice, isNews),
      }),
      classes: this.watch<BankClass>({
        path: BANK_CLASSES_PATH,
        onChange: (key, notice, isNews) => isNews && this.heardClass(key, notice),
      }),
      mcpServers: this.watch<McpServer>({
        path: MCP_SERVERS_PATH,
        onChange: (key, notice, isNews) => isNews && this.heardMcpServer(key, notice),
      }),
      children: this.watchChildren(),
    };
    const prober = createProber({
      frontDoor: options.frontDoor,
      clock,
      logger,
      verifyEvery: options.verifyEvery,
      onChange: (key) => this.add('Bank', key, 'high'),
    });
    this.means = {
      transport,
      caches: this.caches,
      applier: createApplier(transport, this.caches.children),
      database: options.database,
      prober,
      settings: options.settings,
      clock,
      seenInDatabase: new Map(),
    };
    const events = createEventRecorder({ transport, clock, instance: options.instance, logger });
    this.passes = {
      Bank: createBankReconciler({ means: this.means, index: this.index, events, logger }),
      // Operators of other namespaces follow the same classes, so that none of them has the right to write there.
      BankClass:
        (options.namespaces ?? []).length > 0
          ? async () => ({ kind: 'done' })
          : createClassReconciler({ transport, caches: this.caches, clock }),
      McpServer: createMcpServerReconciler({ transport, caches: this.caches, clock }),
    };
  }

  get isIdle(): boolean {
    return this.queue.isIdle;
  }

  async start(): Promise<void> {
    for (const reflector of this.reflectors) reflector.start();
    await Promise.all(this.reflectors.map((reflector) => reflector.synced));
    this.isSynced = true;
    this.workers = startWorkers({
      queue: this.queue,
      count: this.options.workers,
      clock: this.options.clock,
      work: (item) => this.work(item),
      onError: (item, error) => this.options.logger.warn({ item, reason: messageOf(error) }, 'pass broke off'),
    });
  }

  async stop(): Promise<void> {
    this.queue.close();
    await this.workers?.stop(DRAIN_MS);
    await this.means.prober.stop();
    await Promise.all(this.reflectors.map((reflector) => reflector.stop()));
  }

  private async work(item: string): Promise<Outcome> {
    const slash = item.indexOf('/');
    const kind = item.slice(0, slash) as Kind;
    const startedAt = this.options.clock.now();
    let outcome = 'broken';
    try {
      const result = await this.passes[kind](item.slice(slash + 1));
      outcome = result.kind;
      return result;
    } finally {
      this.options.metrics?.operator.passed(kind, outcome, (this.options.clock.now() - startedAt) / 1000);
    }
  }

  private add(kind: Kind, key: string, priority: 'high' | 'low'): void {
    this.queue.add(`${kind}/${key}`, priority);
  }

  /** A cache that follows a collection; `isNews` is false for the mere echo of an own write. */
  private watch<T extends KubeObject>(options: {
    path: string;
    labelSelector?: string;
    trim?: (object: T) => T;
    onChange: (key: string, notice: Notice<T>, isNews: boolean) => void;
  }): FreshCache<T> {
    const { onChange, ...rest } = options;
    // Classes have no namespace.
    const namespaces = options.path === BANK_CLASSES_PATH ? [] : (this.options.namespaces ?? []);
    const reflector: Reflector<T> = createScopedReflector<T>(
      {
        ...rest,
        transport: this.options.transport,
        name: options.path.slice(options.path.lastIndexOf('/') + 1),
        logger: this.options.logger,
        clock: this.options.clock,
        ...(this.options.metrics === undefined ? {} : { metrics: this.options.metrics.reflectors }),
        onChange: (key, notice) => onChange(key, notice, cache.heard(key, notice)),
      },
      namespaces,
    );
    const cache = new FreshCache<T>(reflector, this.options.clock);
    this.reflectors.push(reflector as unknown as Reflector<KubeObject>);
    return cache;
  }

  private watchChildren(): Record<ChildKind, FreshCache<StoredChild>> {
    const entries = CHILD_KINDS.map((kind) => {
      const { prefix, plural } = CHILD_API[kind];
      const cache = this.watch<StoredChild>({
        path: `${prefix}/${plural}`,
        labelSelector: CHILD_SELECTOR,
        trim: (object) => trimChild(kind, object),
        onChange: (_, notice, isNews) => isNews && this.heardChild(notice),
      });
      return [kind, cache] as const;
    });
    return Object.fromEntries(entries) as Record<ChildKind, FreshCache<StoredChild>>;
  }

  private heardBank(key: string, notice: Notice<Bank>, isNews: boolean): void {
    const priority = notice.listed ? 'low' : 'high';
    const { before, object, kind } = notice;
    if ((kind === 'deleted' || kind === 'recreated') && before !== undefined) this.forget(key, before);
    if (kind !== 'deleted') this.index.put(key, object);
    if (isNews) this.add('Bank', key, priority);
    if (kind !== 'modified') {
      for (const server of this.caches.mcpServers.list()) {
        if (bankKeyOf(server) === key) this.add('McpServer', keyOf(server), priority);
      }
    }
    const className = kind === 'deleted' ? undefined : object.status?.className;
    if (before?.status?.className === className) return;
    for (const name of [before?.status?.className, className]) {
      if (name !== undefined) this.queue.addAfter(`BankClass/${name}`, COUNT_AFTER_MS, 'low');
    }
  }

  /** The Bank is gone; another one may now have its id. */
  private forget(key: string, bank: Bank): void {
    this.index.remove(key, bank);
    this.means.prober.forget(bank.metadata.uid ?? '');
    this.means.seenInDatabase.delete(bank.metadata.uid ?? '');
    for (const other of this.index.keysOf(bank.spec.id ?? bank.metadata.name)) this.add('Bank', other, 'high');
  }

  private heardClass(name: string, { kind, object, before, listed }: Notice<BankClass>): void {
    const priority = listed ? 'low' : 'high';
    this.add('BankClass', name, priority);
    // A status that moved concerns nobody else. The mark of the default is an annotation, which moves no generation.
    const isMarked = before !== undefined && isDefaultClass(before) !== isDefaultClass(object);
    if (kind === 'modified' && !isMarked && before?.metadata.generation === object.metadata.generation) return;
    for (const other of this.caches.classes.list()) {
      if (isDefaultClass(other) && other.metadata.name !== name) this.add('BankClass', other.metadata.name, priority);
    }
    for (const bank of this.caches.banks.list()) {
      const { className } = bank.spec;
      if (className === undefined || className === name) this.add('Bank', keyOf(bank), 'low');
    }
  }

  private heardMcpServer(key: string, { object, listed }: Notice<McpServer>): void {
    this.add('McpServer', key, listed ? 'low' : 'high');
    for (const other of this.caches.mcpServers.list()) {
      if (bankKeyOf(other) === bankKeyOf(object)) this.add('McpServer', keyOf(other), 'low');
    }
  }

  private heardChild({ object, before, listed }: Notice<StoredChild>): void {
    for (const { metadata } of before === undefined ? [object] : [object, before]) {
      for (const owner of metadata.ownerReferences ?? []) {
        if (owner.kind === 'Bank') this.add('Bank', `${metadata.namespace}/${owner.name}`, listed ? 'low' : 'high');
      }
    }
  }
}

/** What decisions need of a Bank; labels, annotations and field managers stay with the API server. */
function trimBank(bank: Bank): Bank {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, finalizers } =
    bank.metadata;
  const metadata = {
    name,
    namespace,
    uid,
    resourceVersion,
    generation,
    creationTimestamp,
    deletionTimestamp,
    finalizers,
  };
  return { ...bank, metadata };
}
