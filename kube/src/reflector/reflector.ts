import { type Logger, messageOf } from '@bankhouse/core';
import { ApiError, errorFromStatus, retryAfterOf } from '../api-error.ts';
import { type Clock, delay, jitteredBackoff, systemClock } from '../clock.ts';
import type { KubeObject, ObjectMeta } from '../objects.ts';
import { METADATA_ACCEPT, type Query, type Transport } from '../transport.ts';
import { lines } from './lines.ts';
import type { ReflectorMetrics } from './metrics.ts';
import { type Input, initialState, type State, step } from './state.ts';
import { type Notice, Store } from './store.ts';

const PAGE_SIZE = 500;
/** The server ends a watch after 5 to 10 minutes, spread so that many watches don't come back at once. */
const WATCH_SECONDS = 300;
/** Silence for longer than the server's own time-out means a dead connection. */
const IDLE_MARGIN_MS = 10_000;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 30_000;

/** So many of them are remembered as told; beyond, they are told again. */
const POISONOUS_MAX = 10_000;

/** Without a fallback to full objects: a server that can't do it must say so, not fill our memory. */
const META_ACCEPT = { watch: METADATA_ACCEPT, list: `${METADATA_ACCEPT}List` };

export interface ReflectorOptions<T extends KubeObject> {
  transport: Transport;
  /** Collection, such as `/apis/apps/v1/deployments` or `/api/v1/namespaces/x/secrets`. */
  path: string;
  /** Name in logs and metrics. Default: the path. */
  name?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Ask for metadata alone; objects then have only `metadata` (and kind PartialObjectMetadata). */
  metadataOnly?: boolean;
  /** Makes what is stored out of what was sent; by default all but `metadata.managedFields`. What it raises costs only itself. */
  trim?: (object: T) => T;
  /** Called in the read loop, so it must be quick: put a key into a queue and return. What it raises is logged and counted. */
  onChange?: (key: string, notice: Notice<T>) => void;
  logger: Logger;
  metrics?: ReflectorMetrics;
  clock?: Clock;
}

/** A copy of a collection that follows the API server through restarts, cuts and forgotten versions. */
export interface Reflector<T extends KubeObject> {
  start(): void;
  /** Resolves when the first list is complete; later lists replace it in one go. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  /** By `namespace/name`, or name where cluster-scoped. */
  get(key: string): T | undefined;
  list(): T[];
  readonly size: number;
  /** Ends the watch and resolves when its loop is over. */
  stop(): Promise<void>;
}

export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector<T> {
  return new HttpReflector(options);
}

/** An open watch: its lines, read one at a time. */
interface OpenWatch {
  lines: AsyncGenerator<string>;
  close(): void;
}

class HttpReflector<T extends KubeObject> implements Reflector<T> {
  readonly synced: Promise<void>;
  isSynced = false;
  private readonly options: ReflectorOptions<T>;
  private readonly clock: Clock;
  private readonly name: string;
  private readonly store = new Store<T>();
  private readonly stopping = new AbortController();
  private readonly resolveSynced: () => void;
  private watch: OpenWatch | undefined;
  private failures = 0;
  /** What the server asked to wait when it last failed, in milliseconds. */
  private retryAfter = 0;
  /** Uids of objects that made our code raise, so that each is told once. */
  private readonly poisonous = new Set<string>();
  private loop: Promise<void> | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.name = options.name ?? options.path;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.resolveSynced = resolve;
  }

  get size(): number {
    return this.store.size;
  }

  get(key: string): T | undefined {
    return this.store.get(key);
  }

  list(): T[] {
    return this.store.values();
  }

  start(): void {
    this.loop ??= this.run();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.closeWatch();
    await this.loop;
  }

  private async run(): Promise<void> {
    let state: State<T> = initialState();
    while (!this.stopping.signal.aborted) {
      const input = await this.act(state);
      if (this.stopping.signal.aborted) break;
      const taken = step(state, input);
      this.count(state, taken.state, input);
      this.store.apply(taken.change, (key, notice) => this.notify(key, notice));
      if (input.kind === 'event' || input.kind === 'page') {
        this.failures = 0;
        this.options.metrics?.heard(this.name, this.clock.now(), this.store.size);
      }
      if (taken.change.kind === 'swap' && !this.isSynced) {
        this.isSynced = true;
        this.resolveSynced();
      }
      state = taken.state;
      if (taken.pause) await this.pause();
    }
    this.closeWatch();
  }

  /** Does what the state asks for and says how it went. */
  private async act(state: State<T>): Promise<Input<T>> {
    try {
      switch (state.kind) {
        case 'empty':
          await this.open({ sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' });
          return { kind: 'opened' };
        case 'listed':
          await this.open({ resourceVersion: state.resourceVersion });
          return { kind: 'opened' };
        case 'paging':
          return await this.getPage(state.continueToken);
        case 'streaming':
        case 'watching':
          return await this.read();
      }
    } catch (error) {
      return this.failed(error);
    }
  }

  private failed(error: unknown): Input<T> {
    this.closeWatch();
    const status = error instanceof ApiError ? error.status : 0;
    this.retryAfter = retryAfterOf(error);
    if (!this.stopping.signal.aborted) {
      // A forgotten version is in the order of things: the list is had anew.
      const level = status === 410 ? 'debug' : 'warn';
      const { failures, retryAfter, isSynced } = this;
      const fields = { watch: this.name, status, reason: messageOf(error), failures, retryAfter, isSynced };
      this.options.logger[level](fields, 'watch broken');
    }
    return { kind: 'failed', status };
  }

  private notify(key: string, notice: Notice<T>): void {
    try {
      this.options.onChange?.(key, notice);
    } catch (error) {
      this.tellPoison('handler', notice.object, error);
    }
  }

  /** Whoever may write an object must not be able to blind us with it: the watch goes on, and the fault is told once for each. */
  private tellPoison(at: 'trim' | 'handler', object: T, error: unknown): void {
    this.options.metrics?.poisoned(this.name, at);
    const { uid, name, namespace } = object.metadata ?? {};
    const mark = `${at} ${uid ?? `${namespace}/${name}`}`;
    if (this.poisonous.has(mark)) return;
    if (this.poisonous.size < POISONOUS_MAX) this.poisonous.add(mark);
    const fields = { watch: this.name, at, object: `${namespace}/${name}`, uid, reason: messageOf(error) };
    this.options.logger.warn(fields, 'object not understood');
  }

  private async open(start: Query): Promise<void> {
    this.closeWatch();
    const timeoutSeconds = WATCH_SECONDS + Math.floor(this.clock.random() * WATCH_SECONDS);
    const closing = new AbortController();
    const parts = await this.options.transport.stream(this.options.path, {
      query: { ...this.selectors(), ...start, watch: true, allowWatchBookmarks: true, timeoutSeconds },
      accept: this.options.metadataOnly === true ? META_ACCEPT.watch : 'application/json',
      signal: AbortSignal.any([this.stopping.signal, closing.signal]),
      idleLimit: timeoutSeconds * 1000 + IDLE_MARGIN_MS,
    });
    this.watch = { lines: lines(parts), close: () => closing.abort() };
  }

  private async read(): Promise<Input<T>> {
    const next = await this.watch?.lines.next();
    if (next === undefined || next.done === true) {
      this.closeWatch();
      return { kind: 'ended' };
    }
    const event = JSON.parse(next.value) as { type: string; object: T };
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED':
        return { kind: 'event', event: { type: event.type, object: this.trim(event.object) } };
      case 'BOOKMARK':
        return { kind: 'event', event: { type: 'BOOKMARK', object: event.object } };
      default:
        throw errorFromStatus(event.object, `watch ${this.options.path}`);
    }
  }

  private async getPage(continueToken: string | undefined): Promise<Input<T>> {
    const answer = await this.options.transport.request<{
      metadata?: { resourceVersion?: string; continue?: string };
      items?: T[];
    }>('GET', this.options.path, {
      query: { ...this.selectors(), limit: PAGE_SIZE, continue: continueToken },
      accept: this.options.metadataOnly === true ? META_ACCEPT.list : 'application/json',
      signal: this.stopping.signal,
    });
    const more = answer.metadata?.continue;
    return {
      kind: 'page',
      items: (answer.items ?? []).map((item) => this.trim(item)),
      resourceVersion: answer.metadata?.resourceVersion ?? '',
      continueToken: more === '' ? undefined : more,
    };
  }

  private selectors(): Query {
    return { labelSelector: this.options.labelSelector, fieldSelector: this.options.fieldSelector };
  }

  private trim(object: T): T {
    try {
      if (this.options.trim !== undefined) return this.options.trim(object);
    } catch (error) {
      this.tellPoison('trim', object, error);
    }
    const { managedFields: _, ...metadata } = object.metadata;
    return { ...object, metadata: metadata satisfies ObjectMeta };
  }

  private async pause(): Promise<void> {
    const backoff = jitteredBackoff(this.clock, this.failures, BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
    // Spread beyond what the server asked for, or all watches would come back at once.
    const wait = this.retryAfter + backoff;
    this.failures += 1;
    this.retryAfter = 0;
    await delay(this.clock, wait, this.stopping.signal);
  }

  private count(from: State<T>, to: State<T>, input: Input<T>): void {
    if (from.kind === 'listed' && to.kind === 'watching') this.options.metrics?.reconnected(this.name);
    if (to.kind === 'streaming' && from.kind === 'empty') this.options.metrics?.relisted(this.name);
    if (input.kind === 'page' && from.kind === 'paging' && from.continueToken === undefined) {
      this.options.metrics?.relisted(this.name);
    }
  }

  private closeWatch(): void {
    this.watch?.close();
    this.watch = undefined;
  }
}
