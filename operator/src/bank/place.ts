import type { OwnDatabase } from '../database/index.ts';
import { fails, starting } from '../decide/verdict.ts';
import { COMMON_PLACEMENT, ownDatabaseOf } from '../placement/index.ts';
import { StepFailure } from '../reconcile/index.ts';
import { awayFailure } from './database-failure.ts';
import { type BankKind, type BankSnapshot, bankStep } from './kind.ts';

/** Who keeps databases looks for orders three times a second. */
const MAKING_MS = 300;
const PROBLEM_MS = 5_000;

function elsewhere(placement: string): string {
  return `The bank's rows are in the placement "${placement}", which this operator does not know; nothing of them was touched. Run the release that placed them there.`;
}

/** Is there a database for the bank's rows? One of its own is ordered, and waited for. */
export const placeStep = bankStep({
  name: 'place',
  condition: 'DatabaseReady',
  needs: ['claim'],
  async run({ key, id, uid, bank }, { claim }, { database, ensured, placed }) {
    if (!('placement' in claim)) return { kind: 'done', output: { tenants: undefined, away: claim.unknown } };
    if (claim.placement === COMMON_PLACEMENT) return { kind: 'done', output: { tenants: database } };
    const name = ownDatabaseOf(claim.placement);
    // Made here, its rows would be in two places.
    if (name === undefined) {
      ensured.forget(uid);
      throw new StepFailure(fails('NotSupported', elsewhere(claim.placement)), 'stall');
    }
    const tenants = database.at(name);
    const told = bank.status?.database;
    if (told?.name === name && placed.has(uid, name)) return { kind: 'done', output: { tenants, own: told } };
    let answer: OwnDatabase;
    try {
      answer = await database.wantDatabase(id, uid);
    } catch (error) {
      throw awayFailure(error, database, key);
    }
    const { generation, problem } = answer;
    if (generation === null && problem === null) {
      const verdict = starting('MakingDatabase', "The bank's own database is being made.");
      return { kind: 'waits', verdict, again: MAKING_MS };
    }
    if (generation === null) {
      const message = `The bank's own database can't be made: ${problem} It is tried again by itself.`;
      return { kind: 'waits', verdict: fails('DatabaseNotMade', message), again: PROBLEM_MS };
    }
    if (problem === null) placed.put(uid, name);
    return {
      kind: 'done',
      output: {
        tenants,
        own: { isolation: 'dedicated', name, schemaGeneration: generation },
        ...(problem === null ? {} : { problem }),
      },
    };
  },
});

/** Name of the bank's own database, if it has one; as it was told last where the registry is away. */
export function ownDatabase({ bank }: BankSnapshot, claim: BankKind['outputs']['claim']): string | undefined {
  return 'placement' in claim ? ownDatabaseOf(claim.placement) : bank.status?.database?.name;
}
