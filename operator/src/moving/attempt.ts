import { randomUUID } from 'node:crypto';
import { BankhouseError } from '@bankhouse/core';
import { type Clock, delay } from '@bankhouse/kube';
import type { DatabaseGate, Move, ServerGate } from '../database/index.ts';
import { serverAt, whereOf } from '../placement/index.ts';
import { abortMove, eraseLeft, type Moved, type MoveProgress, moveBank } from './move.ts';

type MovingServer = Pick<ServerGate, 'at' | 'leave' | 'urlOf'>;

/** What moving asks of Postgres. */
export type MovingDatabase = Pick<
  DatabaseGate,
  'movesUnderWay' | 'moveOf' | 'beginMove' | 'wantTarget' | 'switchPlacement' | 'callOffMove' | 'finishMove'
> &
  MovingServer & { on(server: string): MovingServer | undefined };

export interface AttemptOptions {
  database: MovingDatabase;
  clock: Clock;
  signal: AbortSignal;
  bank: { id: string; uid: string };
  /** Its login role, which has to come into a database of the bank's own. */
  role: string;
  onProgress: (progress: MoveProgress) => void;
  /** The bank is at the target. */
  onSwitched: (move: Move) => void;
}

const LOOK_MS = 200;
/** A database of a bank's own is made in a second or two, and told in another what is revoked. */
const MAKING_MS = 60_000;
const HELD_MS = 500;

/**
 * Brings the bank to the target, as far as nobody has: calling it again after any failure goes on, or begins afresh.
 *
 * @param target name of a placement; undefined: the bank shall stay where it is
 * @returns the move, which is switched then; undefined: none is under way, as the bank is at the target already or has been made to stay
 */
export async function attemptMove(
  options: AttemptOptions,
  target: string | undefined,
): Promise<{ move: Move; moved: Moved } | undefined> {
  const { database, bank, clock, signal, onProgress, onSwitched } = options;
  const found = await database.moveOf(bank.id, bank.uid);
  if (found !== undefined && !found.switched && found.target !== target) await callOff(options, found);
  if (target === undefined && found?.switched !== true) return undefined;
  const begun = found?.switched === true ? found : await database.beginMove(bank, target as string, randomUUID());
  if (begun === undefined) return undefined;
  const { move, switched, source } = begun;
  if (!switched) await targetIsThere(options);
  const into = placeAt(database, begun.target);
  const moved = await moveBank({
    source: urlOf(database, source),
    target: urlOf(database, begun.target),
    bank,
    move,
    switched,
    switchOver: () => database.switchPlacement(bank.id, bank.uid, move),
    onCopied: async () => {
      if (into.own !== undefined) await into.server.at(into.own).letIn(options.role);
    },
    clock,
    signal,
    progress: (progress) => {
      onProgress(progress);
      if (progress.step === 'switched') onSwitched({ ...begun, switched: true });
    },
  });
  if (switched) onSwitched(begun);
  return { move: begun, moved };
}

/** What a bank left at the source goes: its rows, or the whole of a database that was its own. Only once no pod is there any more. */
export async function tidyUp({ database, bank, clock, signal }: AttemptOptions, { source }: Move): Promise<void> {
  const { server, own } = placeAt(database, source);
  if (own === undefined) {
    const options = { source: urlOf(database, source), bank, signal };
    while ((await eraseLeft(options)) === undefined) {
      await delay(clock, HELD_MS, signal);
      signal.throwIfAborted();
    }
  } else {
    // Who is in it keeps it from being dropped.
    await server.leave(own);
  }
  await database.finishMove(bank.id, bank.uid);
}

/** The source takes writes again, at once; what an attempt that failed had brought goes with the next one, or when it is called off. */
export async function letStay({ database, bank, signal }: AttemptOptions): Promise<'stays' | 'switched'> {
  const found = await database.moveOf(bank.id, bank.uid);
  if (found?.switched === true) return 'switched';
  if (found !== undefined) await abortMove({ source: urlOf(database, found.source), bank, signal });
  return 'stays';
}

async function callOff({ database, bank, signal }: AttemptOptions, { source, target }: Move): Promise<void> {
  const { server, own } = placeAt(database, target);
  // What was brought into a database of the bank's own goes with it.
  const brought = own === undefined ? urlOf(database, target) : undefined;
  await abortMove({ source: urlOf(database, source), target: brought, bank, signal });
  if (own !== undefined) await server.leave(own);
  await database.callOffMove(bank.id, bank.uid);
}

async function targetIsThere({ database, bank, clock, signal }: AttemptOptions): Promise<void> {
  for (const until = clock.now() + MAKING_MS; ; ) {
    const there = await database.wantTarget(bank.id, bank.uid);
    if (there === undefined || (there.generation !== null && there.told)) return;
    if (there.problem !== null || clock.now() > until) {
      const why =
        there.problem ?? 'Who keeps databases has not come to it: look at the Deployment bankhouse-databases.';
      throw new BankhouseError('database_not_made', `Its database can't be made: ${why}`);
    }
    await delay(clock, LOOK_MS, signal);
    signal.throwIfAborted();
  }
}

function urlOf(database: MovingDatabase, placement: string): string {
  const { server, own } = placeAt(database, placement);
  return server.urlOf(own);
}

function placeAt(database: MovingDatabase, placement: string): { server: MovingServer; own: string | undefined } {
  const where = whereOf(placement);
  if (where === undefined) {
    throw new BankhouseError('placement_unknown', `This release knows no placement of the form "${placement}".`);
  }
  return { server: serverAt<MovingServer>(database, where), own: where.own };
}
