import { type Bank, ERASE_NOW_ANNOTATION, messageOf, parseDuration } from '@bankhouse/core';
import { type DatabaseGate, isMissing, type ServerGate } from '../database/index.ts';
import { fails, holds, starting } from '../decide/verdict.ts';
import { COMMON_PLACEMENT, serverAt, type Where, whereOf } from '../placement/index.ts';
import { StepFailure } from '../reconcile/index.ts';
import { awayFailure } from './database-failure.ts';
import { bankStep, childOf } from './kind.ts';

const MOVE_MS = 300;

/** The pods end first, while all that confines them and all that they need is still there. */
export const podsStep = bankStep({
  name: 'pods',
  condition: 'ServerReady',
  needs: [],
  async run(snapshot, _, { applier, prober }) {
    const { uid, owner, pods } = snapshot;
    prober.forget(uid);
    const deployment = await applier.remove(owner, childOf(snapshot, 'Deployment'), {
      propagation: 'Foreground',
    });
    if (deployment === 'going' || pods.length > 0) {
      return { kind: 'waits', verdict: starting('Ending', "Waits until the bank's pods have ended.") };
    }
    return { kind: 'done', output: undefined, verdict: holds('Ended', "The bank's pods have ended.") };
  },
});

/**
 * The bank's own children, and those that the version before made it: credentials before what confines. The policies that it shares go when
 * nobody needs them any more.
 */
export const childrenStep = bankStep({
  name: 'children',
  needs: ['pods'],
  async run(snapshot, _, { applier }) {
    const { owner } = snapshot;
    const kinds = ['PodDisruptionBudget', 'Service', 'Secret', 'ServiceAccount', 'NetworkPolicy'] as const;
    for (const kind of kinds) await applier.remove(owner, { kind, ...snapshot.child });
    return { kind: 'done', output: undefined };
  },
});

/**
 * Access ends, and the id is given back: kept for its owner until its rows are erased, which is a job of its own. A Bank that never had
 * the id gives nothing back.
 */
export const retireStep = bankStep({
  name: 'database',
  condition: 'DatabaseReady',
  needs: ['children'],
  async run({ key, id, uid, bank }, _, { claimed, database, clock, erase, ensured, mover, placed }) {
    const move = await awaited(database, key, () => database.moveOf(id, uid));
    if (move !== undefined) {
      // Called off, or brought to its end: no pod is left that could be anywhere.
      mover.see({ key, id, uid, target: undefined, underWay: move });
      mover.settled(uid, move.target);
      return {
        kind: 'waits',
        verdict: starting('Moving', 'Waits until the move of its rows is over.'),
        again: MOVE_MS,
      };
    }
    const eraseAfter = eraseTime(bank, clock.now());
    const placement = (await awaited(database, key, () => database.placement(id, uid))) ?? COMMON_PLACEMENT;
    const where = whereOf(placement) ?? { server: undefined, own: undefined };
    const server = serverOf(database, where);
    const { own } = where;
    try {
      if (placement === COMMON_PLACEMENT) await database.retire(id, uid);
      else await retireThere(database, server, { id, uid, own });
    } catch (error) {
      throw awayFailure(error, own === undefined ? server : server.at(own), key);
    }
    try {
      await database.release(id, uid, eraseAfter === undefined ? undefined : new Date(eraseAfter));
    } catch (error) {
      throw awayFailure(error, database, key);
    }
    claimed.forget(uid);
    ensured.forget(uid);
    placed.forget(uid);
    if (eraseAfter !== undefined && eraseAfter <= clock.now()) erase();
    return {
      kind: 'done',
      output: undefined,
      verdict: holds('Retired', 'The bank has no access to its rows any more.'),
    };
  },
});

async function awaited<T>(database: DatabaseGate, key: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw awayFailure(error, database, key);
  }
}

function serverOf(database: DatabaseGate, where: Where): ServerGate {
  try {
    return serverAt<ServerGate>(database, where);
  } catch (error) {
    const message = `${messageOf(error)} The bank goes when database.servers of the chart names it again.`;
    throw new StepFailure(fails('ServerUnknown', message), 'stall', { cause: error });
  }
}

/** In one that was never made, or that somebody dropped, nobody has access. */
async function retireThere(
  database: DatabaseGate,
  server: ServerGate,
  { id, uid, own }: { id: string; uid: string; own: string | undefined },
): Promise<void> {
  try {
    const there = await database.dropDatabase(id, uid);
    if (typeof there?.generation !== 'number') return;
    await (own === undefined ? server : server.at(own)).retire(id, uid);
  } catch (error) {
    // A common one is not for one bank to lose.
    if (own === undefined || !isMissing(error)) throw error;
  }
  if (own !== undefined) await server.leave(own);
}

/** When the rows are to be erased, in milliseconds since 1970; `undefined`: never. */
export function eraseTime({ metadata, spec }: Pick<Bank, 'metadata' | 'spec'>, now: number): number | undefined {
  if (spec.deletionPolicy === 'Retain') return undefined;
  if (metadata.annotations?.[ERASE_NOW_ANNOTATION] === 'true') return now;
  return now + parseDuration(spec.deleteAfter);
}
