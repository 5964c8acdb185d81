import { canonical } from '../cluster/owned.ts';
import { DatabaseError, type IdClaim } from '../database/index.ts';
import { fails, holds, type Verdict } from '../decide/verdict.ts';
import {
  isSameKind,
  placementName,
  placementOf,
  placementWords,
  problemOfServer,
  type WantedDatabase,
} from '../placement/index.ts';
import { StepFailure } from '../reconcile/index.ts';
import type { Settings } from '../settings.ts';
import { awayFailure } from './database-failure.ts';
import { type BankDeps, type BankSnapshot, bankStep } from './kind.ts';
import { asksToMove, placementFixed, takeMoveOff, verdictOfMove } from './moving.ts';

const ACCEPTED = holds('Accepted', 'The id is given to this Bank, and the class is there.');

const NO_DEDICATED =
  'The class gives each bank a database of its own, which this platform does not: set database.dedicated.enabled of the chart, or name another class in spec.className.';

/**
 * Is the id this Bank's? The database gives it away, to one at a time; until it has, nothing is made. A Bank that has it already keeps it
 * while the database is away.
 */
export const claimStep = bankStep({
  name: 'claim',
  condition: 'Accepted',
  needs: ['class', 'finalizer'],
  async run(snapshot, { class: choice }, deps) {
    const { claimed, database, mover, namespaces, places, settings } = deps;
    const { key, id, uid, bank, hadId } = snapshot;
    const namespace = await namespaces.get(bank.metadata.namespace ?? '');
    const wanted = choice.kind === 'chosen' ? choice.bankClass.spec.database : undefined;
    const impossible = wanted === undefined ? undefined : problemOf(wanted, settings);
    if (impossible !== undefined && !hadId) throw new StepFailure(impossible, 'stall');
    const placement = placementName(placementOf(uid, wanted, settings));
    const claim = claimOf(snapshot, namespace.uid, placement);
    const digest = canonical(claim);
    const isBelieved = !asksToMove(bank) && mover.get(uid) === undefined;
    if (isBelieved && claimed.has(uid, digest)) return { kind: 'done', output: { placement }, verdict: ACCEPTED };
    let rowsIn: string;
    try {
      rowsIn = (await database.claim(claim)).placement;
    } catch (error) {
      if (error instanceof DatabaseError && error.code === 'id_taken') {
        claimed.forget(uid);
        if (!hadId) places.leave(uid);
        const message = `The id "${id}" is another Bank's; create this Bank again with another spec.id.`;
        throw new StepFailure(fails('IdTaken', message), 'stall', { cause: error });
      }
      if (!hadId) throw awayFailure(error, database, key);
      // What it has stays; the database step says what is wrong, and goes on when it can.
      return { kind: 'done', output: { unknown: error }, verdict: ACCEPTED };
    }
    // Elsewhere than its class says: asked again at each pass, since it may be moved.
    if (rowsIn === placement) claimed.put(uid, digest);
    else claimed.forget(uid);
    // A class that is gone wants nothing.
    const isElsewhere = choice.kind === 'chosen' && !isSameKind(rowsIn, placement);
    const verdict = await placed(snapshot, { rowsIn, wanted: isElsewhere ? placement : undefined, impossible }, deps);
    return { kind: 'done', output: { placement: rowsIn }, verdict };
  },
});

/** Why rows can't be where a class says. */
function problemOf({ isolation, secretRef }: WantedDatabase, settings: Settings): Verdict | undefined {
  if (secretRef !== undefined) {
    const problem = problemOfServer(secretRef.name, settings.SERVERS);
    return problem === undefined ? undefined : fails('ServerUnknown', problem);
  }
  return isolation === 'dedicated' && !settings.DEDICATED_DATABASES ? fails('NotSupported', NO_DEDICATED) : undefined;
}

/**
 * @param place.wanted where its class says that the rows are, if they are elsewhere
 * @param place.impossible why they can't be there
 */
async function placed(
  { key, id, uid, bank }: BankSnapshot,
  { rowsIn, wanted, impossible }: { rowsIn: string; wanted: string | undefined; impossible: Verdict | undefined },
  deps: BankDeps,
): Promise<Verdict> {
  const { mover, told } = deps;
  const isAsked = asksToMove(bank);
  const state = mover.see({ key, id, uid, target: isAsked && impossible === undefined ? wanted : undefined });
  if (state !== undefined) return verdictOfMove(state);
  if (wanted !== undefined) {
    return impossible === undefined ? placementFixed(rowsIn, wanted) : holds('PlacementFixed', impossible.message);
  }
  if (isAsked) {
    await takeMoveOff(bank, deps);
    const note = `Nothing was moved: its rows are in ${placementWords(rowsIn)}, as its class says.`;
    told(bank, { type: 'Normal', reason: 'AlreadyThere', note });
  }
  return ACCEPTED;
}

function claimOf({ key, id, uid, bank }: BankSnapshot, namespaceUid: string, placement: string): IdClaim {
  const { displayName, type, vaults } = bank.spec;
  return {
    id,
    uid,
    owner: key,
    namespaceUid,
    displayName: displayName ?? id,
    type,
    vaults: (vaults ?? []).map((vault) => ({ id: vault.id, displayName: vault.displayName ?? vault.id })),
    placement,
  };
}
