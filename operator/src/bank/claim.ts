import { ERASE_NOW_ANNOTATION } from '@bankhouse/core';
import { canonical } from '../cluster/owned.ts';
import { DatabaseError, type IdClaim } from '../database/index.ts';
import { fails, holds, type Verdict } from '../decide/verdict.ts';
import { isSameKind, ownDatabaseOf, placementName, placementOf } from '../placement/index.ts';
import { StepFailure } from '../reconcile/index.ts';
import { awayFailure } from './database-failure.ts';
import { type BankSnapshot, bankStep } from './kind.ts';

const ACCEPTED = holds('Accepted', 'The id is given to this Bank, and the class is there.');

/** Works on, so that it is no failure: the id is the Bank's, and the rows are where they were. */
function placementFixed(rowsIn: string): Verdict {
  const [is, wants] =
    ownDatabaseOf(rowsIn) === undefined
      ? ['in the common database', 'a database of its own']
      : ["in a database of the bank's own", 'the common database'];
  const message = `The bank's rows are ${is} and stay there, though its class now says ${wants}: a bank that has rows keeps its isolation. Name a class of the other isolation in spec.className to be rid of this; or export the bank, delete it with the annotation ${ERASE_NOW_ANNOTATION}=true, create it again and import.`;
  return holds('PlacementFixed', message);
}

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
  async run(snapshot, { class: choice }, { claimed, database, namespaces, places, settings }) {
    const { key, id, uid, bank, hadId } = snapshot;
    const namespace = await namespaces.get(bank.metadata.namespace ?? '');
    const wanted = choice.kind === 'chosen' ? choice.bankClass.spec.database : undefined;
    if (wanted?.isolation === 'dedicated' && !settings.DEDICATED_DATABASES && !hadId) {
      throw new StepFailure(fails('NotSupported', NO_DEDICATED), 'stall');
    }
    const placement = placementName(placementOf(uid, wanted, settings));
    const claim = claimOf(snapshot, namespace.uid, placement);
    const digest = canonical(claim);
    if (claimed.has(uid, digest)) return { kind: 'done', output: { placement }, verdict: ACCEPTED };
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
    const isFixed = choice.kind === 'chosen' && !isSameKind(rowsIn, placement);
    return { kind: 'done', output: { placement: rowsIn }, verdict: isFixed ? placementFixed(rowsIn) : ACCEPTED };
  },
});

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
