import { createHash } from 'node:crypto';
import { databaseRole, deriveSealKey, scramVerifier } from '@bankhouse/core';
import { canonical } from '../cluster/owned.ts';
import { type BankRecord, type BankState, DatabaseError } from '../database/index.ts';
import { fails, holds, type Verdict } from '../decide/verdict.ts';
import { KEY_GENERATION, RESYNC_MS } from '../settings.ts';
import { DONE, type Pass, type Step, type StepResult } from './step.ts';

const RETRY_WITHIN_MS = 3_000;

/** The bank's rows, role and database seal keys in Postgres. Asks only when something is new, or now and then. */
export const database: Step = async (pass, means) => {
  if (pass.secrets === undefined) return DONE;
  const password = decodeURIComponent(new URL(pass.secrets.databaseUrl).password);
  const { ROOT_KEY } = means.settings;
  const { id, bank } = pass.snapshot;
  const key = deriveSealKey(ROOT_KEY, 'database', id, bank.metadata.uid ?? '', KEY_GENERATION);
  const keys = { [KEY_GENERATION]: key.toString('base64') };
  const record = recordOf(pass, password, keys);
  const digest = canonical(record);
  const uid = pass.bank.metadata.uid ?? '';
  const seen = means.seenInDatabase.get(uid);
  const ready = holds('Ready', 'The role, its grants and the vaults are in the database.');
  if (seen?.digest === digest && means.clock.now() - seen.at < RESYNC_MS) {
    pass.verdicts.DatabaseReady = ready;
    return DONE;
  }
  try {
    if (!isAsWanted(await means.database.state(record.id), record)) {
      await means.database.ensure(record, { verifier: () => scramVerifier(password), keys });
    }
  } catch (error) {
    means.seenInDatabase.delete(uid);
    pass.verdicts.DatabaseReady = explain(error);
    return failed(error);
  }
  means.seenInDatabase.set(uid, { digest, at: means.clock.now() });
  pass.verdicts.DatabaseReady = ready;
  return DONE;
};

/** Rows by `deletionPolicy`, roles in any case. */
export const deleteFromDatabase: Step = async (pass, means) => {
  const { id, key, bank } = pass.snapshot;
  try {
    await means.database.delete(id, key, bank.spec.deletionPolicy === 'Delete');
  } catch (error) {
    // The rows are another Bank's: this one never had any.
    if (error instanceof DatabaseError && error.code === 'id_taken') return DONE;
    pass.verdicts.DatabaseReady = explain(error);
    return failed(error);
  }
  return DONE;
};

/** A database that comes back is found soon: asking it costs little, and nothing at all in the second after a failure. */
function failed(error: unknown): StepResult {
  const comesBack = error instanceof DatabaseError && error.code !== 'id_taken';
  return { kind: 'error', error, ...(comesBack ? { retryWithin: RETRY_WITHIN_MS } : {}) };
}

function recordOf(pass: Pass, password: string, keys: Readonly<Record<string, string>>): BankRecord {
  const { id, key } = pass.snapshot;
  const { spec } = pass.bank;
  const role = databaseRole(id, 'a');
  return {
    id,
    owner: key,
    displayName: spec.displayName ?? id,
    type: spec.type,
    vaults: (spec.vaults ?? []).map((vault) => ({ id: vault.id, displayName: vault.displayName ?? vault.id })),
    role,
    // Over the keys too: another root key must reach the database though the generation is the same.
    credentialDigest: createHash('sha256').update(canonical({ role, password, keys })).digest('hex'),
  };
}

/** Vaults that are no longer named stay: taking one out of the list deletes nothing. */
export function isAsWanted(state: BankState | undefined, record: BankRecord): boolean {
  return (
    state !== undefined &&
    state.retainedAt === null &&
    state.owner === record.owner &&
    state.displayName === record.displayName &&
    state.type === record.type &&
    state.roles.some(
      ({ role, credentialDigest }) => role === record.role && credentialDigest === record.credentialDigest,
    ) &&
    state.keyGenerations.includes(KEY_GENERATION) &&
    record.vaults.every(({ id, displayName }) =>
      state.vaults.some((vault) => vault.id === id && vault.displayName === displayName),
    )
  );
}

const REASONS: Readonly<Record<string, string>> = {
  unreachable: 'Unreachable',
  access_refused: 'AccessRefused',
  not_migrated: 'NotMigrated',
  id_taken: 'IdTaken',
};

function explain(error: unknown): Verdict {
  if (error instanceof DatabaseError) return fails(REASONS[error.code] ?? 'DatabaseFailed', error.message);
  return fails('DatabaseFailed', 'The database step failed; the operator tries again by itself.');
}
