import {
  BANK_SERVER_COMPONENT,
  type Bank,
  type BankClass,
  COMPONENT_LABEL,
  ERASE_NOW_ANNOTATION,
  LIFT_QUARANTINE_ANNOTATION,
  type Logger,
  type McpServer,
  MOVE_ANNOTATION,
  messageOf,
} from '@bankhouse/core';
import {
  type Clock,
  createScopedReflector,
  delay,
  type KubeObject,
  type Notice,
  type Outcome,
  type Priority,
  type Reflector,
  type ReflectorMetrics,
  startWorkers,
  type Transport,
  type Workers,
  WorkQueue,
} from '@bankhouse/kube';
import { asksToMove, type BankDeps, createBankReconciler, takeMoveOff } from './bank/index.ts';
import { createClassReconciler } from './bank-class/index.ts';
import { type Caches, createNamespaces } from './caches.ts';
import { createApplier } from './cluster/apply.ts';
import { createEventRecorder, type EventRecorder } from './cluster/events.ts';
import { FreshCache } from './cluster/fresh-cache.ts';
import { BANK_CLASSES_PATH, BANKS_PATH, MCP_SERVERS_PATH } from './cluster/paths.ts';
import { CHILD_API, CHILD_SELECTOR, type StoredChild, trimChild } from './cluster/stored.ts';
import { createConfinementReconciler } from './confinement/index.ts';
import { createDatabaseGate, type Database, type DatabaseGate } from './database/index.ts';
import { type StoredPod, trimPod } from './decide/pods.ts';
import { createEraser, type Eraser, type ErasingMetrics } from './erasing/index.ts';
import { type Due, type Heard, Mapping, type ReconciledKind } from './mapping.ts';
import { createMcpServerReconciler } from './mcp-server/index.ts';
import type { OperatorMetrics } from './metrics.ts';
import { createMover, type Mover, type MovingMetrics } from './moving/index.ts';
import { Places } from './places.ts';
import { createProber, type FrontDoor } from './probe/index.ts';
import { CHILD_KINDS, type ChildKind, type ServerNames } from './resources/index.ts';
import { RESYNC_MS, type Settings } from './settings.ts';
import { Sightings } from './sightings.ts';

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
  /** A bank's quarantine was lifted. */
  onLifted?: (id: string) => void;
  metrics?: { operator: OperatorMetrics; reflectors: ReflectorMetrics; erasing: ErasingMetrics; moving: MovingMetrics };
}

export interface Operator {
  /** Lists everything and follows it, without a write: whoever stands by so can take over at once. */
  watch(): Promise<void>;
  /** Watches, then begins to work. */
  start(): Promise<void>;
  readonly isSynced: boolean;
  /** Nothing waits and nothing is worked on; for tests. */
  readonly isIdle: boolean;
  /** What was seen in the database of the bank with the id is no longer believed: it is looked at again, now. */
  recheck(id: string): void;
  /** Takes nothing new on, lets what is under way finish for at most ten seconds, ends every watch. */
  stop(): Promise<void>;
}

/** Well below the grace of the pod, so that the lease is given back in time. */
const DRAIN_MS = 10_000;

/** Wires watches → mapping → queue → passes; decides nothing itself. */
export function createOperator(options: OperatorOptions): Operator {
  return new RunningOperator(options);
}

class RunningOperator implements Operator {
  isSynced = false;
  private readonly options: OperatorOptions;
  private readonly queue: WorkQueue;
  private readonly mapping = new Mapping();
  private readonly places = new Places();
  private readonly caches: Caches;
  private readonly database: DatabaseGate;
  private readonly eraser: Eraser;
  private readonly mover: Mover;
  private readonly events: EventRecorder;
  private readonly deps: BankDeps;
  private readonly reflectors: Reflector<KubeObject>[] = [];
  private readonly passes: Record<ReconciledKind, (key: string) => Promise<Outcome>>;
  private workers: Workers | undefined;

  constructor(options: OperatorOptions) {
    this.options = options;
    const { clock, logger } = options;
    const transport = options.metrics?.operator.countWrites(options.transport) ?? options.transport;
    // A namespace never has all workers, so that its passes that hang leave some to the others.
    this.queue = new WorkQueue(clock, { groupOf: namespaceOf, groupLimit: Math.ceil(options.workers * 0.75) });
    options.metrics?.operator.watchQueue(this.queue);
    this.caches = this.createCaches();
    this.database = createDatabaseGate(options.database, { clock, logger, onBack: (keys) => this.wake(keys) });
    this.eraser = createEraser({
      database: this.database,
      clock,
      logger,
      metrics: options.metrics?.erasing,
      onForgotten: (id) => this.wake(this.mapping.banksWithId(id)),
    });
    this.events = createEventRecorder({ transport, clock, instance: options.instance, logger });
    this.mover = this.createMover();
    const { caches, mapping, events } = this;
    this.deps = {
      transport,
      caches,
      namespaces: createNamespaces(transport, caches.namespaces),
      applier: createApplier(transport, caches.children),
      places: this.places,
      database: this.database,
      prober: createProber({
        frontDoor: options.frontDoor,
        clock,
        logger,
        verifyEvery: options.verifyEvery,
        onChange: (key) => this.queue.add(`Bank/${key}`),
      }),
      settings: options.settings,
      clock,
      claimed: new Sightings(clock, RESYNC_MS),
      ensured: new Sightings(clock, RESYNC_MS),
      placed: new Sightings(clock, RESYNC_MS),
      rowsOn: (namespace, className) =>
        mapping.banksIn(namespace, className).flatMap((key) => serversOfRows(caches.banks.get(key))),
      protect: (className) => this.queue.add(`BankClass/${className}`),
      erase: () => this.eraser.wake(),
      mover: this.mover,
      told: (bank, event) => void events.record('Bank', bank.metadata, event),
      lifted: options.onLifted ?? (() => {}),
    };
    const podsOf = ({ namespace, id }: { namespace: string; id: string }) =>
      mapping.podsOf(namespace, id).flatMap((key) => caches.pods.get(key) ?? []);
    this.passes = {
      Bank: createBankReconciler({ deps: this.deps, podsOf, events, logger }),
      // Operators of other namespaces follow the same classes, so that none of them has the right to write there.
      BankClass:
        (options.namespaces ?? []).length > 0
          ? async () => ({ kind: 'done' })
          : createClassReconciler(
              { transport, caches, places: this.places, clock, settings: options.settings },
              logger,
            ),
      McpServer: createMcpServerReconciler({ transport, caches, mapping, clock }, logger),
      Confinement: createConfinementReconciler({ ...this.deps, mapping, wake: (keys) => this.wake(keys) }, logger),
    };
  }

  get isIdle(): boolean {
    return this.queue.isIdle;
  }

  async watch(): Promise<void> {
    for (const reflector of this.reflectors) reflector.start();
    await Promise.all(this.reflectors.map((reflector) => reflector.synced));
    this.isSynced = true;
  }

  async start(): Promise<void> {
    await this.watch();
    this.workers = startWorkers({
      queue: this.queue,
      count: this.options.workers,
      clock: this.options.clock,
      work: (item) => this.work(item),
      onError: (item, error) => this.options.logger.warn({ item, reason: messageOf(error) }, 'pass broke off'),
    });
    this.eraser.start();
    this.mover.start();
  }

  recheck(id: string): void {
    const keys = this.mapping.banksWithId(id);
    for (const key of keys) this.distrust(this.caches.banks.get(key)?.metadata.uid ?? '');
    this.wake(keys);
  }

  async stop(): Promise<void> {
    this.queue.close();
    this.database.stop();
    const done = new AbortController();
    const { clock } = this.options;
    const ended = Promise.all([
      this.workers?.stop(DRAIN_MS),
      this.deps.prober.stop(),
      this.eraser.stop(),
      this.mover.stop(),
    ]);
    await Promise.race([ended, delay(clock, DRAIN_MS, done.signal)]);
    done.abort();
    await this.database.leaveAll();
    await Promise.all(this.reflectors.map((reflector) => reflector.stop()));
  }

  private createMover(): Mover {
    const { clock, logger, metrics } = this.options;
    const bankOf = (key: string, uid: string) => {
      const bank = this.caches.banks.get(key);
      return bank?.metadata.uid === uid ? bank : undefined;
    };
    return createMover({
      database: this.database,
      clock,
      logger,
      metrics: metrics?.moving,
      keysOf: (id) => this.mapping.banksWithId(id),
      onChange: (key, uid, switched) => {
        if (switched) this.distrust(uid);
        this.queue.add(`Bank/${key}`);
      },
      tell: (key, uid, event) => {
        const bank = bankOf(key, uid);
        if (bank !== undefined) this.deps.told(bank, event);
      },
      onEnd: async (key, uid, end) => {
        const bank = bankOf(key, uid);
        if (bank === undefined) return;
        if (end === 'moved' && asksToMove(bank)) await takeMoveOff(bank, this.deps);
        const note =
          end === 'moved' ? 'Its rows are where its class says.' : 'Its rows stay where they are: called off.';
        this.deps.told(bank, { type: 'Normal', reason: end === 'moved' ? 'Moved' : 'MoveCalledOff', note });
      },
    });
  }

  private async work(item: string): Promise<Outcome> {
    const slash = item.indexOf('/');
    const kind = item.slice(0, slash) as ReconciledKind;
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

  private wake(banks: readonly string[]): void {
    for (const key of banks) this.queue.add(`Bank/${key}`, 'low');
  }

  /** @param isNews false for the mere echo of an own write, which concerns at most others */
  private hear(heard: Heard, isNews: boolean): void {
    const priority = heard.notice.listed ? 'low' : 'high';
    const due = this.mapping.observe(heard, this.isSynced);
    const own = heard.of === 'Bank' || heard.of === 'BankClass' || heard.of === 'McpServer';
    for (const [index, item] of due.entries()) {
      if (isNews || (own && index > 0) || item.kind === 'Confinement') this.add(item, priority);
    }
  }

  private add({ kind, key, delay }: Due, priority: Priority): void {
    if (delay === undefined) this.queue.add(`${kind}/${key}`, priority);
    else this.queue.addAfter(`${kind}/${key}`, delay, 'low');
  }

  private createCaches(): Caches {
    const hear = (of: 'child' | 'pod' | 'namespace') => (notice: Notice<KubeObject>, isNews: boolean) =>
      this.hear({ of, notice }, isNews);
    const children = CHILD_KINDS.map((kind) => {
      const { prefix, plural } = CHILD_API[kind];
      const trim = (object: StoredChild) => trimChild(kind, object);
      const options = { path: `${prefix}/${plural}`, labelSelector: CHILD_SELECTOR, trim, onChange: hear('child') };
      return [kind, this.follow<StoredChild>(options)] as const;
    });
    return {
      banks: this.follow<Bank>({
        path: BANKS_PATH,
        trim: trimBank,
        onChange: (notice, isNews) => this.hearBank(notice, isNews),
      }),
      classes: this.follow<BankClass>({
        path: BANK_CLASSES_PATH,
        onChange: (notice, isNews) => this.hear({ of: 'BankClass', notice }, isNews),
      }),
      mcpServers: this.follow<McpServer>({
        path: MCP_SERVERS_PATH,
        onChange: (notice, isNews) => this.hear({ of: 'McpServer', notice }, isNews),
      }),
      children: Object.fromEntries(children) as Record<ChildKind, FreshCache<StoredChild>>,
      pods: this.follow<StoredPod>({
        path: '/api/v1/pods',
        labelSelector: `${CHILD_SELECTOR},${COMPONENT_LABEL}=${BANK_SERVER_COMPONENT}`,
        trim: trimPod,
        onChange: hear('pod'),
      }),
      namespaces: this.follow<KubeObject>({
        path: '/api/v1/namespaces',
        metadataOnly: true,
        trim: trimNamespace,
        onChange: hear('namespace'),
      }),
    };
  }

  private follow<T extends KubeObject>(options: {
    path: string;
    labelSelector?: string;
    metadataOnly?: boolean;
    trim?: (object: T) => T;
    onChange: (notice: Notice<T>, isNews: boolean) => void;
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
        onChange: (key, notice) => onChange(notice, cache.heard(key, notice)),
      },
      namespaces,
    );
    const cache = new FreshCache<T>(reflector, this.options.clock);
    this.reflectors.push(reflector as unknown as Reflector<KubeObject>);
    return cache;
  }

  private hearBank(notice: Notice<Bank>, isNews: boolean): void {
    const { kind, object, before } = notice;
    if ((kind === 'deleted' || kind === 'recreated') && before !== undefined) this.forget(before.metadata.uid ?? '');
    if (kind !== 'deleted') this.places.observe(object);
    this.hear({ of: 'Bank', notice }, isNews);
  }

  /** The Bank is gone. */
  private forget(uid: string): void {
    const place = this.places.leave(uid);
    if (place !== undefined) this.queue.add(`Confinement/${place}`);
    this.deps.prober.forget(uid);
    this.distrust(uid);
  }

  /** What was seen of it in the database is looked at again. */
  private distrust(uid: string): void {
    for (const seen of [this.deps.claimed, this.deps.ensured, this.deps.placed]) seen.forget(uid);
  }
}

/** Of a Bank that has its id; before, nothing of it is anywhere. */
function serversOfRows(bank: Bank | undefined): ServerNames {
  return bank?.status?.incarnation === undefined ? [] : [bank.status.database?.server];
}

/** Of a queue's key, `<kind>/<namespace>/<name>`; `''` for what is in none. */
function namespaceOf(item: string): string {
  const [, namespace = '', name] = item.split('/', 3);
  return name === undefined ? '' : namespace;
}

const ANNOTATIONS = [ERASE_NOW_ANNOTATION, LIFT_QUARANTINE_ANNOTATION, MOVE_ANNOTATION];

/** What decisions need of a Bank; labels, field managers and others' annotations stay with the API server. */
function trimBank(bank: Bank): Bank {
  const { name, namespace, uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, finalizers } =
    bank.metadata;
  const asked = Object.entries(bank.metadata.annotations ?? {}).filter(([name]) => ANNOTATIONS.includes(name));
  const metadata = {
    name,
    namespace,
    uid,
    resourceVersion,
    generation,
    creationTimestamp,
    deletionTimestamp,
    finalizers,
    ...(asked.length === 0 ? {} : { annotations: Object.fromEntries(asked) }),
  };
  return { ...bank, metadata };
}

function trimNamespace({ metadata }: KubeObject): KubeObject {
  const { name, uid, resourceVersion, labels } = metadata;
  return { metadata: { name, uid, resourceVersion, labels } };
}
