import { databaseRole, type Logger, messageOf } from '@bankhouse/core';
import { type Clock, exponential } from '@bankhouse/kube';
import type { Move } from '../database/index.ts';
import { placementWords } from '../placement/index.ts';
import { type AttemptOptions, attemptMove, letStay, type MovingDatabase, tidyUp } from './attempt.ts';
import type { MovingMetrics } from './metrics.ts';

/**
 * How far a bank's move is.
 *
 * | state   | the bank is used | what follows                                             |
 * |---------|------------------|----------------------------------------------------------|
 * | waiting | at the source    | copying, when it is its turn                             |
 * | copying | at the source    | left; failed                                             |
 * | failed  | at the source    | copying, after a while; none, when it is called off       |
 * | left    | at the target    | none, when no pod knows the source any more and that is tidied up |
 */
export type MoveState = { target: string } & (
  | { kind: 'waiting' }
  | { kind: 'copying'; rows: number }
  | { kind: 'failed'; problem: string }
  | { kind: 'left'; problem?: string }
);

/** What a pass saw of a Bank. */
export interface Seen {
  key: string;
  id: string;
  uid: string;
  /** Name of the placement that it is to be moved into; undefined: it stays where it is. */
  target: string | undefined;
  /** What is written down of its move, if that was looked up. */
  underWay?: Move;
}

export type MoveEnd = 'moved' | 'stayed';

/**
 * Moves banks beside the passes, some at a time. A pass says what is wanted of a bank, by `see`; where each is, so that another operator can
 * go on, is written down in Postgres.
 */
export interface Mover {
  start(): void;
  /** How far the move of a Bank is; undefined: none is under way. */
  get(uid: string): MoveState | undefined;
  /** @returns as `get`, from now on */
  see(seen: Seen): MoveState | undefined;
  /** No pod of the bank knows another placement than this one. */
  settled(uid: string, placement: string): void;
  /** Breaks off what is under way: the next operator goes on. */
  stop(): Promise<void>;
}

export interface MoverOptions {
  database: MovingDatabase;
  clock: Clock;
  logger: Logger;
  metrics?: MovingMetrics | undefined;
  /** Keys of the Banks with an id. */
  keysOf: (id: string) => readonly string[];
  /** The state is another one. @param switched the bank is at another placement than before */
  onChange: (key: string, uid: string, switched: boolean) => void;
  /** For people. */
  tell: (key: string, uid: string, event: { type: 'Normal' | 'Warning'; reason: string; note: string }) => void;
  /** It is over. */
  onEnd: (key: string, uid: string, end: MoveEnd) => Promise<void>;
}

/** Copying takes a processor of Postgres each. */
const AT_ONCE = 2;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 600_000;
const LOAD_RETRY_MS = 2_000;
/** So often the status says how many rows are copied. */
const TELL_EVERY_MS = 3_000;

interface Job {
  readonly id: string;
  readonly uid: string;
  /** Undefined: no pass has seen the Bank since this process started. */
  key: string | undefined;
  target: string | undefined;
  /** As it is written down; undefined before it was begun. */
  switched: Move | undefined;
  state: MoveState;
  /** Where all its pods are. */
  settledAt: string | undefined;
  failures: number;
  toldAt: number;
  running: AbortController | undefined;
  /** It is to be looked at again when what is running has ended. */
  isDue: boolean;
  cancelRetry: () => void;
}

export function createMover(options: MoverOptions): Mover {
  return new QueuedMover(options);
}

class QueuedMover implements Mover {
  readonly #options: MoverOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #waiting = new Set<Job>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #cancelLoad = () => {};

  constructor(options: MoverOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#load();
  }

  get(uid: string): MoveState | undefined {
    return this.#jobs.get(uid)?.state;
  }

  see({ key, id, uid, target, underWay }: Seen): MoveState | undefined {
    let job = this.#jobs.get(uid);
    if (job === undefined && underWay !== undefined) job = this.#take(underWay);
    if (job === undefined) {
      if (target === undefined) return undefined;
      job = this.#add({ id, uid, target });
      const note = `Its rows are moved into ${placementWords(target)}.`;
      this.#options.tell(key, uid, { type: 'Normal', reason: 'Moving', note });
    }
    const isNew = job.key === undefined || job.target !== target;
    job.key = key;
    job.target = target;
    if (isNew && job.switched === undefined) {
      job.failures = 0;
      if (target !== undefined) job.state = { kind: 'waiting', target };
      job.running?.abort();
      this.#queue(job);
    }
    return job.state;
  }

  settled(uid: string, placement: string): void {
    const job = this.#jobs.get(uid);
    if (job === undefined || job.settledAt === placement) return;
    job.settledAt = placement;
    if (job.switched?.target === placement) this.#queue(job);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#cancelLoad();
    for (const job of this.#jobs.values()) job.cancelRetry();
    await Promise.all(this.#running);
  }

  /** What an operator before this one had begun. */
  async #load(): Promise<void> {
    const { database, clock, logger, keysOf, onChange } = this.#options;
    try {
      for (const move of await database.movesUnderWay()) {
        const { id, uid } = move;
        const keys = keysOf(id);
        // A bank without is another operator's.
        if (this.#jobs.has(uid) || keys.length === 0) continue;
        this.#take(move);
        for (const key of keys) onChange(key, uid, false);
      }
    } catch (error) {
      logger.debug({ reason: messageOf(error) }, 'moves are not known yet');
      if (!this.#stopping.signal.aborted) this.#cancelLoad = clock.after(LOAD_RETRY_MS, () => void this.#load());
    }
  }

  #take(move: Move): Job {
    const job = this.#add(move);
    if (move.switched) {
      this.#switched(job, move);
      this.#queue(job);
    }
    return job;
  }

  #add({ id, uid, target }: { id: string; uid: string; target: string }): Job {
    const job: Job = {
      id,
      uid,
      key: undefined,
      target,
      switched: undefined,
      state: { kind: 'waiting', target },
      settledAt: undefined,
      failures: 0,
      toldAt: 0,
      running: undefined,
      isDue: false,
      cancelRetry: () => {},
    };
    this.#jobs.set(uid, job);
    return job;
  }

  #queue(job: Job): void {
    job.cancelRetry();
    if (job.running === undefined) this.#waiting.add(job);
    else job.isDue = true;
    this.#next();
  }

  #next(): void {
    for (const job of this.#waiting) {
      if (this.#running.size >= AT_ONCE || this.#stopping.signal.aborted) return;
      this.#waiting.delete(job);
      job.running = new AbortController();
      job.isDue = false;
      const done = this.#run(job, AbortSignal.any([job.running.signal, this.#stopping.signal])).finally(() => {
        this.#running.delete(done);
        job.running = undefined;
        if (job.isDue && this.#jobs.get(job.uid) === job) this.#queue(job);
        else this.#next();
      });
      this.#running.add(done);
    }
  }

  async #run(job: Job, signal: AbortSignal): Promise<void> {
    const { id, uid, target } = job;
    const { database, clock } = this.#options;
    const attempt: AttemptOptions = {
      database,
      clock,
      signal,
      bank: { id, uid },
      role: databaseRole(uid, 'a'),
      onProgress: ({ rows }) => this.#copied(job, rows),
      onSwitched: (move) => {
        if (job.switched === undefined) this.#switched(job, move);
      },
    };
    try {
      const startedAt = clock.now();
      const done = await attemptMove(attempt, target);
      if (done === undefined) {
        return await this.#ended(job, target === undefined && job.switched === undefined ? 'stayed' : 'moved');
      }
      if (done.moved.rows > 0) this.#measure(job, done.moved, clock.now() - startedAt);
      if (job.settledAt !== done.move.target) return;
      await tidyUp(attempt, done.move);
      await this.#ended(job, 'moved');
    } catch (error) {
      // Something else is wanted of it now, or the next operator goes on.
      if (!signal.aborted) await this.#failed(job, attempt, error);
    }
  }

  #copied(job: Job, rows: number): void {
    if (job.switched !== undefined) return;
    job.state = { kind: 'copying', target: job.state.target, rows };
    const now = this.#options.clock.now();
    if (now - job.toldAt < TELL_EVERY_MS) return;
    job.toldAt = now;
    this.#changed(job, false);
  }

  #switched(job: Job, move: Move): void {
    job.switched = move;
    job.failures = 0;
    job.state = { kind: 'left', target: move.target };
    this.#changed(job, true);
  }

  #measure({ id, uid }: Job, { rows, keys, refusedMs }: { rows: number; keys: number; refusedMs: number }, ms: number) {
    this.#options.metrics?.moved(rows, refusedMs / 1000);
    this.#options.logger.info({ id, uid, rows, keys, refusedMs, ms }, 'bank moved');
  }

  async #ended(job: Job, end: MoveEnd): Promise<void> {
    const { id, uid, key } = job;
    this.#options.logger.info({ id, uid, end }, 'move ended');
    for (const one of key === undefined ? this.#options.keysOf(id) : [key]) await this.#options.onEnd(one, uid, end);
    this.#jobs.delete(uid);
    this.#changed(job, false);
  }

  async #failed(job: Job, attempt: AttemptOptions, error: unknown): Promise<void> {
    const { clock, logger, metrics, tell } = this.#options;
    const { id, uid, key } = job;
    const problem = sentenceOf(error);
    logger.warn({ id, uid, reason: problem }, 'bank not moved');
    metrics?.failed();
    if (job.switched === undefined) {
      const before = job.state;
      // Nobody heard of a switch that was made: on from there.
      if ((await this.#letStay(attempt)) === 'switched') return this.#queue(job);
      if (key !== undefined && !(before.kind === 'failed' && before.problem === problem)) {
        tell(key, uid, { type: 'Warning', reason: 'MoveFailed', note: `Its rows stay where they are: ${problem}` });
      }
      job.state = { kind: 'failed', target: job.state.target, problem };
    } else {
      job.state = { kind: 'left', target: job.switched.target, problem };
    }
    const pause = exponential(job.failures, FIRST_RETRY_MS, LAST_RETRY_MS);
    job.failures += 1;
    job.cancelRetry = clock.after(pause, () => this.#queue(job));
    this.#changed(job, false);
  }

  async #letStay(attempt: AttemptOptions): Promise<'stays' | 'switched' | 'unknown'> {
    try {
      return await letStay(attempt);
    } catch (error) {
      this.#options.logger.debug({ id: attempt.bank.id, reason: messageOf(error) }, 'not let stay yet');
      return 'unknown';
    }
  }

  #changed({ id, uid, key }: Job, switched: boolean): void {
    for (const one of key === undefined ? this.#options.keysOf(id) : [key]) this.#options.onChange(one, uid, switched);
  }
}

function sentenceOf(error: unknown): string {
  const said = messageOf(error).trim();
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}${said.endsWith('.') ? '' : '.'}`.slice(0, 800);
}
