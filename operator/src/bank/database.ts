import { createHash } from 'node:crypto';
import { databaseRole, deriveSealKey, scramVerifier } from '@bankhouse/core';
import { canonical } from '../cluster/owned.ts';
import type { BankRecord, BankState } from '../database/index.ts';
import { fails, holds } from '../decide/verdict.ts';
import type { BankSecrets } from '../resources/index.ts';
import { KEY_GENERATION, type Settings } from '../settings.ts';
import { awayFailure } from './database-failure.ts';
import { type BankSnapshot, bankStep } from './kind.ts';

const READY = holds('Ready', 'The role, its grants and the vaults are in the database.');

/** The bank's rows, role and database seal keys in Postgres. Asks only when something is new, or now and then. */
export const databaseStep = bankStep({
  name: 'database',
  condition: 'DatabaseReady',
  needs: ['credentials'],
  async run(snapshot, { credentials }, { ensured, database, settings }) {
    const { key, uid, probe } = snapshot;
    const { record, password, keys } = recordOf(snapshot, credentials, settings);
    const digest = canonical(record);
    // A role can change its own password (D7): then its pod is refused, though what we stored of it is as it was.
    const force = probe?.databaseRefused === true;
    if (!force && ensured.has(uid, digest)) return { kind: 'done', output: undefined, verdict: READY };
    try {
      const state = await database.state(record.id);
      const reason = quarantineOf(state, record);
      if (reason !== undefined) {
        ensured.forget(uid);
        return { kind: 'waits', verdict: fails('Quarantined', `The bank's access to Postgres was ended: ${reason}.`) };
      }
      if (force || !isAsWanted(state, record)) {
        await database.ensure(record, { verifier: () => scramVerifier(password), keys }, { force });
      }
    } catch (error) {
      ensured.forget(uid);
      throw awayFailure(error, database, key);
    }
    ensured.put(uid, digest);
    return { kind: 'done', output: undefined, verdict: READY };
  },
});

function recordOf(
  { id, uid, bank: { spec } }: BankSnapshot,
  { databaseUrl }: BankSecrets,
  settings: Settings,
): { record: BankRecord; password: string; keys: Record<string, string> } {
  const password = decodeURIComponent(new URL(databaseUrl).password);
  const key = deriveSealKey(settings.ROOT_KEY, 'database', id, uid, KEY_GENERATION).toString('base64');
  const keys = { [KEY_GENERATION]: key };
  const role = databaseRole(uid, 'a');
  const record = {
    id,
    uid,
    displayName: spec.displayName ?? id,
    type: spec.type,
    vaults: (spec.vaults ?? []).map((vault) => ({ id: vault.id, displayName: vault.displayName ?? vault.id })),
    role,
    // Over the keys too: another root key must reach the database though the generation is the same.
    credentialDigest: createHash('sha256').update(canonical({ role, password, keys })).digest('hex'),
  };
  return { record, password, keys };
}

/** Why the watchdog took the role's login away; none where it didn't. */
export function quarantineOf(state: BankState | undefined, { uid }: Pick<BankRecord, 'uid'>): string | undefined {
  if (state?.uid !== uid) return undefined;
  const role = state.roles.find(({ quarantinedAt }) => typeof quarantinedAt === 'string');
  return role === undefined ? undefined : (role.quarantinedFor ?? 'no reason given');
}

/** Vaults that are no longer named stay: taking one out of the list deletes nothing. */
export function isAsWanted(state: BankState | undefined, record: BankRecord): boolean {
  return (
    state !== undefined &&
    !state.retired &&
    state.uid === record.uid &&
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
