import { SERVER_DATABASE } from '@bankhouse/core';
import type { OwnDatabase } from '../database/index.ts';
import { fails, starting, type Verdict } from '../decide/verdict.ts';
import {
  COMMON_PLACEMENT,
  placementWords,
  problemOfServer,
  serverAt,
  type Where,
  whereOf,
} from '../placement/index.ts';
import { StepFailure } from '../reconcile/index.ts';
import type { Settings } from '../settings.ts';
import { awayFailure } from './database-failure.ts';
import { type BankKind, type BankSnapshot, bankStep } from './kind.ts';

/** Who keeps databases looks for orders three times a second. */
const MAKING_MS = 300;
const PROBLEM_MS = 5_000;

function elsewhere(placement: string): string {
  return `The bank's rows are in the placement "${placement}", which this operator does not know; nothing of them was touched. Run the release that placed them there.`;
}

/** Is there a database for the bank's rows? One that is not the platform's common one is ordered, and waited for. */
export const placeStep = bankStep({
  name: 'place',
  condition: 'DatabaseReady',
  needs: ['claim'],
  async run({ key, id, uid, bank }, { claim }, { database, ensured, placed, settings }) {
    if (!('placement' in claim)) return { kind: 'done', output: { tenants: undefined, away: claim.unknown } };
    const { placement } = claim;
    if (placement === COMMON_PLACEMENT) return { kind: 'done', output: { tenants: database } };
    let where: Where;
    try {
      where = reachable(placement, settings);
    } catch (error) {
      // Made here, its rows would be in two places.
      ensured.forget(uid);
      throw error;
    }
    const server = serverAt(database, where);
    const tenants = where.own === undefined ? server : server.at(where.own);
    const told = bank.status?.database;
    const name = where.own ?? SERVER_DATABASE;
    if (told?.name === name && told.server === where.server && placed.has(uid, placement)) {
      return { kind: 'done', output: { tenants, status: told } };
    }
    let answer: OwnDatabase;
    try {
      answer = await database.wantDatabase(id, uid);
    } catch (error) {
      throw awayFailure(error, database, key);
    }
    const { generation, problem } = answer;
    if (generation === null) return { kind: 'waits', ...notMade(placement, problem) };
    if (problem === null) placed.put(uid, placement);
    return {
      kind: 'done',
      output: {
        tenants,
        status: {
          isolation: where.own === undefined ? 'shared' : 'dedicated',
          ...(where.server === undefined ? {} : { server: where.server }),
          name,
          schemaGeneration: generation,
        },
        ...(problem === null ? {} : { problem }),
      },
    };
  },
});

function notMade(placement: string, problem: string | null): { verdict: Verdict; again: number } {
  const words = placementWords(placement);
  if (problem === null)
    return { verdict: starting('MakingDatabase', `Waits for ${words}, which is being made.`), again: MAKING_MS };
  const message = `The rows are to be in ${words}, which can't be made: ${problem} It is tried again by itself.`;
  return { verdict: fails('DatabaseNotMade', message), again: PROBLEM_MS };
}

/** Where its rows are; as it was told last where the registry is away. @throws StepFailure as `reachable` */
export function rowsOf({ bank }: BankSnapshot, claim: BankKind['outputs']['claim'], settings: Settings): Where {
  if ('placement' in claim) return reachable(claim.placement, settings);
  const told = bank.status?.database;
  return { server: told?.server, own: told?.isolation === 'dedicated' ? told.name : undefined };
}

/** @throws StepFailure where nobody can say how to connect there */
function reachable(placement: string, { SERVERS }: Settings): Where {
  const where = whereOf(placement);
  if (where === undefined) throw new StepFailure(fails('NotSupported', elsewhere(placement)), 'stall');
  const problem = where.server === undefined ? undefined : problemOfServer(where.server, SERVERS);
  if (problem !== undefined) throw new StepFailure(fails('ServerUnknown', problem), 'stall');
  return where;
}
