import { createHash } from 'node:crypto';
import { databaseRole, LIFT_QUARANTINE_ANNOTATION, SCRAM_ITERATIONS_OF_CHANCE, scramVerifier } from '@bankhouse/core';
import { canonical } from '../cluster/owned.ts';
import type { BankRecord, BankState } from '../database/index.ts';
import { fails, holds, type Verdict } from '../decide/verdict.ts';
import type { BankSecrets } from '../resources/index.ts';
import type { Settings } from '../settings.ts';
import { takeOff } from './annotations.ts';
import { sealKeysOf } from './credentials.ts';
import { awayFailure } from './database-failure.ts';
import { type BankSnapshot, bankStep, type Place } from './kind.ts';

const READY = holds('Ready', 'The role, its grants and the vaults are in the database.');

/** The bank's rows, role and database seal keys in Postgres. Asks only when something is new, or now and then. */
export const databaseStep = bankStep({
  name: 'database',
  condition: 'DatabaseReady',
  needs: ['credentials', 'place'],
  async run(snapshot, { credentials, place }, deps) {
    const { ensured, settings } = deps;
    const { id, key, uid, probe } = snapshot;
    const { record, password, keys } = recordOf(snapshot, credentials, settings);
    const digest = canonical(record);
    // A role can change its own password (D7): then its pod is refused, though what we stored of it is as it was.
    const lift = snapshot.bank.metadata.annotations?.[LIFT_QUARANTINE_ANNOTATION] !== undefined;
    const force = lift || probe?.databaseRefused === true;
    if (!force && ensured.has(uid, digest)) return { kind: 'done', output: undefined, verdict: readyIn(place) };
    const database = place.tenants;
    if (database === undefined) throw awayFailure(place.away, deps.database, key);
    try {
      if (lift) await database.lift(id);
      const state = await database.state(id);
      const reason = quarantineOf(state, record);
      if (reason !== undefined) {
        ensured.forget(uid);
        return { kind: 'waits', verdict: fails('Quarantined', quarantined(reason)) };
      }
      if (force || !isAsWanted(state, record, [...settings.ROOT_KEY.keys()])) {
        // `credentials` takes no password but those that it made.
        const verifier = () => scramVerifier(password, { iterations: SCRAM_ITERATIONS_OF_CHANCE });
        await database.ensure(record, { verifier, keys }, { force });
      }
      if (place.status?.isolation === 'dedicated') await database.letIn(record.role);
    } catch (error) {
      ensured.forget(uid);
      throw awayFailure(error, database, key);
    }
    if (lift) {
      deps.lifted(id);
      await takeOff(LIFT_QUARANTINE_ANNOTATION, snapshot.bank, deps);
    }
    ensured.put(uid, digest);
    return { kind: 'done', output: undefined, verdict: readyIn(place) };
  },
});

function readyIn({ problem }: Place): Verdict {
  if (problem === undefined) return READY;
  return holds('Ready', `${READY.message} Its schema can't be brought to the newest generation yet: ${problem}`);
}

/** @param reason what its sessions did, such as "held or waited for an advisory lock" */
function quarantined(reason: string): string {
  return `A session of the bank's role ${reason}, again and again, so its access to Postgres was ended. Find out who has its pod; then annotate the Bank with ${LIFT_QUARANTINE_ANNOTATION}=true to let it in again.`;
}

function recordOf(
  { id, uid, bank: { spec } }: BankSnapshot,
  { databaseUrl }: BankSecrets,
  settings: Settings,
): { record: BankRecord; password: string; keys: Readonly<Record<string, string>> } {
  const password = decodeURIComponent(new URL(databaseUrl).password);
  const keys = sealKeysOf(settings.ROOT_KEY, 'database', id, uid);
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
export function isAsWanted(state: BankState | undefined, record: BankRecord, generations: readonly number[]): boolean {
  return (
    state !== undefined &&
    !state.retired &&
    state.uid === record.uid &&
    state.displayName === record.displayName &&
    state.type === record.type &&
    state.roles.some(
      ({ role, credentialDigest }) => role === record.role && credentialDigest === record.credentialDigest,
    ) &&
    generations.every((generation) => state.keyGenerations.includes(generation)) &&
    record.vaults.every(({ id, displayName }) =>
      state.vaults.some((vault) => vault.id === id && vault.displayName === displayName),
    )
  );
}
