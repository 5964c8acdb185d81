import { canonical } from '../cluster/owned.ts';
import { DatabaseError, type IdClaim } from '../database/index.ts';
import { fails, holds } from '../decide/verdict.ts';
import { StepFailure } from '../reconcile/index.ts';
import { awayFailure } from './database-failure.ts';
import { type BankSnapshot, bankStep } from './kind.ts';

const ACCEPTED = holds('Accepted', 'The id is given to this Bank, and the class is there.');

/**
 * Is the id this Bank's? The database gives it away, to one at a time; until it has, nothing is made. A Bank that has it already keeps it
 * while the database is away.
 */
export const claimStep = bankStep({
  name: 'claim',
  condition: 'Accepted',
  needs: ['class', 'finalizer'],
  async run(snapshot, _, { claimed, database, namespaces, places }) {
    const { key, id, uid, bank, hadId } = snapshot;
    const namespace = await namespaces.get(bank.metadata.namespace ?? '');
    const claim = claimOf(snapshot, namespace.uid);
    const digest = canonical(claim);
    if (claimed.has(uid, digest)) return { kind: 'done', output: undefined, verdict: ACCEPTED };
    try {
      await database.claim(claim);
    } catch (error) {
      if (error instanceof DatabaseError && error.code === 'id_taken') {
        claimed.forget(uid);
        if (!hadId) places.leave(uid);
        const message = `The id "${id}" is another Bank's; create this Bank again with another spec.id.`;
        throw new StepFailure(fails('IdTaken', message), 'stall', { cause: error });
      }
      if (!hadId) throw awayFailure(error, database, key);
      // What it has stays; the database step says what is wrong, and goes on when it can.
      return { kind: 'done', output: undefined, verdict: ACCEPTED };
    }
    claimed.put(uid, digest);
    return { kind: 'done', output: undefined, verdict: ACCEPTED };
  },
});

function claimOf({ key, id, uid, bank }: BankSnapshot, namespaceUid: string): IdClaim {
  const { displayName, type, vaults } = bank.spec;
  return {
    id,
    uid,
    owner: key,
    namespaceUid,
    displayName: displayName ?? id,
    type,
    vaults: (vaults ?? []).map((vault) => ({ id: vault.id, displayName: vault.displayName ?? vault.id })),
  };
}
