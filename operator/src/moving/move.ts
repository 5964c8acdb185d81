import { type Clock, delay } from '@bankhouse/kube';
import { copyRound, type Round, type Try } from './copy.ts';
import { isRefused, MoveError } from './errors.ts';
import { matchKeys } from './keys.ts';
import { openSide, type Side } from './side.ts';

/** Where a move is. */
export type MoveStep =
  | 'beginning'
  | 'copying'
  | 'catching_up'
  | 'freezing'
  | 'frozen'
  | 'verified'
  | 'sealed'
  | 'switched'
  | 'left'
  | 'arrived';

export interface MoveProgress {
  step: MoveStep;
  /** Brought so far, rows that changed meanwhile again. */
  rows: number;
  table?: string;
}

export interface MoveOptions {
  /** The operator's own URLs. */
  source: string;
  target: string;
  bank: { id: string; uid: string };
  /** A uuid of this try alone; a try begins afresh, unless it was switched. */
  move: string;
  /** What control says of this move: after it there is no way back, only on. */
  switched: boolean;
  /**
   * The one moment: from now on the bank is at the target. False where this try is not the one in force any more. When it throws, nobody
   * knows; the next try asks control.
   */
  switchOver: () => Promise<boolean>;
  /** When most is at the target, and the bank's roles are: makes it ready for them. Repeated by the next try. */
  onCopied?: () => Promise<void>;
  /** How long writes are refused before the source takes them again by itself. */
  freezeMs?: number;
  clock: Clock;
  /** Breaks off; what was begun is taken up, or undone, by the next try. */
  signal: AbortSignal;
  progress?: (progress: MoveProgress) => void;
}

export interface Moved {
  /** Brought in all, and keys that both sides had when they were compared; 0 where it was switched before. */
  rows: number;
  keys: number;
  /** From the freeze to the moment when the target was open. */
  refusedMs: number;
}

const FREEZE_MS = 5_000;
/** A round that brought no more is followed by the freeze. */
const FEW_ROWS = 2_000;
const MOST_ROUNDS = 6;
const MOST_FREEZES = 5;
const BETWEEN_FREEZES_MS = 2_000;
const POLL_MS = 20;
/** Of the freeze, for transactions that began before it; then sessions of the bank that still have one are ended. */
const PATIENCE = 0.3;

/**
 * Brings a bank into another database while it is used.
 *
 * | step        | source   | target   | killed here, the next try                                |
 * |-------------|----------|----------|----------------------------------------------------------|
 * | copying     | leaving  | arriving | begins afresh                                             |
 * | catching_up | leaving  | arriving | begins afresh                                             |
 * | frozen      | frozen, for `freezeMs` at most | arriving | begins afresh; until then the source takes writes again by itself |
 * | sealed      | frozen   | arriving | begins afresh, and the source takes writes again           |
 * | switched    | frozen   | arriving | goes on: `switchOver` was the moment                      |
 * | left        | gone     | arriving | goes on                                                   |
 * | arrived     | gone     | in use   | is over                                                   |
 *
 * In no line do both take writes: the target not before the source is gone, the source not any more once it is sealed. Rows stay at the
 * source until `eraseLeft`.
 */
export async function moveBank(options: MoveOptions): Promise<Moved> {
  const { bank, move, signal } = options;
  await using source = await openSide(options.source, signal);
  await using target = await openSide(options.target, signal);
  const attempt: Try = { ...bank, move };
  try {
    if (options.switched) {
      await finish({ source, target }, attempt, () => {});
      return { rows: 0, keys: 0, refusedMs: 0 };
    }
    return await begin({ source, target }, attempt, options);
  } catch (error) {
    if (isRefused(error)) throw new MoveError('move_refused', sentence(error), { cause: error });
    throw error;
  }
}

/**
 * The bank stays where it is: the source takes writes, and what was brought goes. Only before it was switched.
 *
 * @param options.target absent: what was brought there is left to others
 */
export async function abortMove(
  options: Pick<MoveOptions, 'source' | 'bank' | 'signal'> & { target?: string | undefined },
): Promise<void> {
  const { id, uid } = options.bank;
  await using source = await openSide(options.source, options.signal);
  await source.call('admin.stay', [id, uid]);
  if (options.target === undefined) return;
  await using target = await openSide(options.target, options.signal);
  await target.call('admin.discard_arriving', [id, uid]);
}

/** Erases what is still at the source of a bank that was moved away. Undefined: a connection holds a role of it; try again. */
export async function eraseLeft(options: Pick<MoveOptions, 'source' | 'bank' | 'signal'>): Promise<number | undefined> {
  await using source = await openSide(options.source, options.signal);
  const rows = await source.call<string | null>('admin.erase_left', [options.bank.id, options.bank.uid]);
  return rows === null ? undefined : Number(rows);
}

type Sides = { source: Side; target: Side };

async function begin(sides: Sides, attempt: Try, options: MoveOptions): Promise<Moved> {
  const { id, uid, move } = attempt;
  let rows = 0;
  const tell = (step: MoveStep, table?: string) => options.progress?.({ step, rows, ...(table && { table }) });
  const onRows = (step: MoveStep) => (table: string, count: number) => {
    rows += count;
    tell(step, table);
  };
  tell('beginning');
  const sameServer = await onOneServer(sides);
  const leave = () =>
    sides.source.call<{ bank: string; tables: string[] }>('admin.begin_leaving', [id, uid, move, sameServer]);
  const { bank, tables } = await leave();
  await sides.source.call('admin.say_where', [id, move, withoutLogin(options.target)]);
  await sides.target.call('admin.begin_arriving', [id, uid, move, sameServer, bank]);

  let round = await copyRound(sides, attempt, { tables, since: undefined, onRows: onRows('copying') });
  await sides.target.call('admin.analyze_arriving', [id, move]);
  await options.onCopied?.();
  for (let freezes = 0; ; freezes += 1) {
    round = await catchUp(sides, attempt, { tables, round, onRows: onRows('catching_up') });
    tell('freezing');
    const frozen = await whileFrozen(sides, attempt, {
      tables,
      round,
      onRows: onRows('frozen'),
      options,
      tell,
      thaw: leave,
    });
    if (frozen !== undefined) return { rows, ...frozen };
    if (freezes + 1 === MOST_FREEZES) break;
    await delay(options.clock, BETWEEN_FREEZES_MS, options.signal);
    options.signal.throwIfAborted();
  }
  const message =
    'The bank is written so much, or by transactions so long, that it does not come to rest in the time that calls may be refused.';
  throw new MoveError('move_too_busy', message);
}

function withoutLogin(url: string): string {
  return Object.assign(new URL(url), { username: '', password: '' }).toString();
}

async function onOneServer({ source, target }: Sides): Promise<boolean> {
  const [left, arrived] = await Promise.all([
    source.call<string>('admin.server_identity', []),
    target.call<string>('admin.server_identity', []),
  ]);
  return left === arrived;
}

interface RoundOptions {
  tables: readonly string[];
  round: Round;
  onRows: (table: string, rows: number) => void;
}

async function catchUp(sides: Sides, attempt: Try, { tables, round, onRows }: RoundOptions): Promise<Round> {
  let last = round;
  for (let rounds = 0; rounds < MOST_ROUNDS; rounds += 1) {
    last = await copyRound(sides, attempt, { tables, since: last.horizon, onRows });
    if (last.rows <= FEW_ROWS) break;
  }
  return last;
}

/** Undefined where the time was over before all was done: nothing was switched. */
async function whileFrozen(
  sides: Sides,
  attempt: Try,
  frozen: FrozenOptions,
): Promise<Omit<Moved, 'rows'> | undefined> {
  const { options, tell } = frozen;
  const startedAt = options.clock.now();
  let keys: number | undefined;
  try {
    keys = await bringTheRest(sides, attempt, frozen);
  } finally {
    // What isn't sealed ends by itself too, where this can't be said.
    if (keys === undefined) await frozen.thaw().catch(() => {});
  }
  if (keys === undefined) return undefined;
  tell('sealed');
  if (!(await options.switchOver())) {
    throw new MoveError('move_refused', 'Another try moves the bank, or its move was called off.');
  }
  tell('switched');
  await finish(sides, attempt, tell);
  return { keys, refusedMs: options.clock.now() - startedAt };
}

type FrozenOptions = RoundOptions & {
  options: MoveOptions;
  tell: (step: MoveStep) => void;
  /** The source takes writes again. */
  thaw: () => Promise<unknown>;
};

/** From the freeze to its seal: what changed last, and that all is there. How many keys; undefined where the time was over. */
async function bringTheRest(
  sides: Sides,
  attempt: Try,
  { tables, round, onRows, options, tell }: FrozenOptions,
): Promise<number | undefined> {
  const { source, target } = sides;
  const { id, move } = attempt;
  const { clock, signal, freezeMs = FREEZE_MS } = options;
  const late = clock.now() + freezeMs;
  await source.call('admin.freeze_leaving', [id, move, freezeMs / 1000]);
  if (!(await writersAreOver(source, attempt, { clock, signal, freezeMs }))) return undefined;
  tell('frozen');
  await copyRound(sides, attempt, { tables, since: round.horizon, onRows });
  if (clock.now() > late) return undefined;
  const { keys } = await matchKeys(sides, attempt, tables);
  tell('verified');
  const until = await source.call<Date | null>('admin.seal_leaving', [id, move]);
  if (until === null || !(await source.call<boolean>('admin.is_before', [until]))) return undefined;
  await target.call('admin.put_arriving_bank', [id, move, await source.call('admin.leaving_bank', [id, move])]);
  return keys;
}

/** Waits until every transaction that may have begun to write before the freeze is over. */
async function writersAreOver(
  source: Side,
  { id, move }: Try,
  { clock, signal, freezeMs }: { clock: Clock; signal: AbortSignal; freezeMs: number },
): Promise<boolean> {
  const startedAt = clock.now();
  const first = new Set(await source.call<string[]>('admin.writers_before', [id]));
  let ended = false;
  for (let waiting = [...first]; waiting.length > 0; ) {
    const waited = clock.now() - startedAt;
    if (waited > freezeMs / 2) return false;
    if (!ended && waited > freezeMs * PATIENCE) {
      await source.call('admin.end_writers', [id, move]);
      ended = true;
    }
    await delay(clock, POLL_MS, signal);
    signal.throwIfAborted();
    waiting = (await source.call<string[]>('admin.writers_before', [id])).filter((writer) => first.has(writer));
  }
  return true;
}

/** Behind the switch: both functions bear repeating. */
async function finish({ source, target }: Sides, { id, move }: Try, tell: (step: MoveStep) => void): Promise<void> {
  await source.call('admin.finish_leaving', [id, move]);
  tell('left');
  await target.call('admin.finish_arriving', [id, move]);
  tell('arrived');
}

function sentence(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
}
