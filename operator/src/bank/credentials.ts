import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import {
  databaseRole,
  databaseUrlAt,
  deriveSealKey,
  newestGeneration,
  type RootKeys,
  SECRET_DATABASE_URL,
  SECRET_PASSWORD_PROOF,
  sameText,
} from '@bankhouse/core';
import { isApiError, type Transport } from '@bankhouse/kube';
import { childPath, type StoredChild } from '../cluster/stored.ts';
import { holds } from '../decide/verdict.ts';
import type { Where } from '../placement/index.ts';
import { type BankSecrets, buildSecret, usesEmbeddings } from '../resources/index.ts';
import type { Settings } from '../settings.ts';
import { bankStep, childOf } from './kind.ts';
import { rowsOf } from './place.ts';

/** Half of it chance, half the proof that we made it: 43 characters. */
const NONCE_BYTES = 16;
const PROOF_BYTES = 16;

/**
 * The bank's Secret. The password is made once and from then on lives there alone: a Secret that was deleted or spoiled gets
 * a new one, which the database step then brings to the role. A password that we didn't make for this Bank is never taken.
 */
export const credentialsStep = bankStep({
  name: 'credentials',
  condition: 'CredentialsReady',
  needs: ['claim'],
  async run(snapshot, { claim }, { applier, caches, settings, transport }) {
    const { id, uid, bank, owner, child } = snapshot;
    const key = childOf(snapshot, 'Secret');
    const cached = caches.children.Secret.get(`${child.namespace}/${child.name}`);
    // The cache may lag behind an earlier process's last write, and a password must not be made twice.
    const isThere = await applier.isThere(owner, key);
    const secret = isThere ? (cached ?? (await readSecret(transport, child))) : undefined;
    const makers = { roots: settings.ROOT_KEY, uid };
    const secrets: BankSecrets = {
      ...secretsOf(
        id,
        passwordIn(secret, makers) ?? makePassword(makers),
        makers,
        urlOf(rowsOf(snapshot, claim, settings), settings),
      ),
      ...(usesEmbeddings(bank, settings) ? { embeddingsKey: settings.EMBEDDINGS_KEY } : {}),
    };
    await applier.apply(owner, buildSecret(bank, secrets), { isThere });
    return { kind: 'done', output: secrets, verdict: holds('Stored', "The bank's Secret holds its credentials.") };
  },
});

async function readSecret(
  transport: Transport,
  { namespace, name }: { namespace: string; name: string },
): Promise<Pick<StoredChild, 'data'> | undefined> {
  try {
    return await transport.request<Pick<StoredChild, 'data'>>('GET', childPath('Secret', namespace, name));
  } catch (error) {
    if (isApiError(error, 'not_found')) return undefined;
    throw error;
  }
}

interface Makers {
  roots: RootKeys;
  /** Of the Bank. */
  uid: string;
}

const newest = (roots: RootKeys) => roots.get(newestGeneration(roots)) as Uint8Array;

/** `base64url(nonce ‖ proof)`: whoever can write the Secret can't choose a password, nor bring one of another Bank. */
export function makePassword(makers: Makers, nonce: Uint8Array = randomBytes(NONCE_BYTES)): string {
  return passwordOf(nonce, newest(makers.roots), makers.uid);
}

function passwordOf(nonce: Uint8Array, root: Uint8Array, uid: string): string {
  return Buffer.concat([nonce, proofOf(nonce, root, uid).subarray(0, PROOF_BYTES)]).toString('base64url');
}

function proofOf(bytes: Uint8Array, root: Uint8Array, uid: string): Buffer {
  const key = Buffer.from(hkdfSync('sha256', root, '', `bankhouse/password/${uid}`, 32));
  return createHmac('sha256', key).update(bytes).digest();
}

/**
 * That a password is ours though the root key it was made with is not the one in force: it stays when that root goes, since another password
 * would restart the bank's pods. It is over the whole of it, as no nonce is.
 */
function laterProofOf(password: string, root: Uint8Array, uid: string): string {
  return proofOf(Buffer.from(password), root, uid).toString('base64url');
}

/** The password in a bank's Secret; `undefined` when there is none that we made for this Bank's role. */
export function passwordIn(secret: Pick<StoredChild, 'data'> | undefined, makers: Makers): string | undefined {
  const text = Buffer.from(secret?.data?.[SECRET_DATABASE_URL] ?? '', 'base64').toString('utf8');
  if (!URL.canParse(text)) return undefined;
  const { username, password } = new URL(text);
  const bytes = Buffer.from(password, 'base64url');
  if (username !== databaseRole(makers.uid, 'a') || bytes.length !== NONCE_BYTES + PROOF_BYTES) return undefined;
  const later = Buffer.from(secret?.data?.[SECRET_PASSWORD_PROOF] ?? '', 'base64').toString('utf8');
  const isOurs = [...makers.roots.values()].some(
    (root) => isMadeBy(password, root, makers.uid) || sameText(laterProofOf(password, root, makers.uid), later),
  );
  return isOurs ? password : undefined;
}

function isMadeBy(password: string, root: Uint8Array, uid: string): boolean {
  return sameText(passwordOf(Buffer.from(password, 'base64url').subarray(0, NONCE_BYTES), root, uid), password);
}

/** Of the database that the rows are in; who signs in there is added. */
function urlOf({ server, own }: Where, { DATABASE_URL, SERVERS }: Settings): string {
  const common = (server === undefined ? undefined : SERVERS.get(server)?.url) ?? DATABASE_URL;
  return own === undefined ? common : databaseUrlAt(common, own);
}

/** @param at URL of the database that its rows are in, as anybody */
export function secretsOf(id: string, password: string, { roots, uid }: Makers, at: string): BankSecrets {
  const url = new URL(at);
  url.username = encodeURIComponent(databaseRole(uid, 'a'));
  url.password = encodeURIComponent(password);
  const root = newest(roots);
  return {
    databaseUrl: url.toString(),
    sealKeys: sealKeysOf(roots, 'pod', id, uid),
    ...(isMadeBy(password, root, uid) ? {} : { passwordProof: laterProofOf(password, root, uid) }),
  };
}

/** The keys of a bank by generation, base64: of each root that there is. */
export function sealKeysOf(
  roots: RootKeys,
  target: 'pod' | 'database',
  id: string,
  uid: string,
): Readonly<Record<string, string>> {
  const keys = [...roots].map(([generation, root]) => [
    generation,
    deriveSealKey(root, target, id, uid, generation).toString('base64'),
  ]);
  return Object.fromEntries(keys) as Record<string, string>;
}
