import { randomBytes } from 'node:crypto';
import { databaseRole, deriveSealKey, SECRET_DATABASE_URL } from '@bankhouse/core';
import { isApiError, splitKey, type Transport } from '@bankhouse/kube';
import { childPath, type StoredChild } from '../cluster/stored.ts';
import { holds } from '../decide/verdict.ts';
import { type BankSecrets, buildSecret, usesEmbeddings } from '../resources/index.ts';
import { KEY_GENERATION, type Settings } from '../settings.ts';
import { DONE, type Step } from './step.ts';

const PASSWORD_BYTES = 32;

/**
 * The bank's Secret. The password is made once and from then on lives there alone: a Secret that was deleted or spoiled gets
 * a new one, which the database step then brings to the role.
 */
export const credentials: Step = async (pass, means) => {
  const { snapshot } = pass;
  const role = databaseRole(snapshot.id, 'a');
  // The cache may lag behind an earlier process's last write, and a password must not be made twice.
  const secret = snapshot.secret ?? (await readSecret(means.transport, snapshot.childKey));
  const password = passwordIn(secret, role) ?? randomBytes(PASSWORD_BYTES).toString('base64url');
  const { settings } = means;
  pass.secrets = {
    ...secretsOf(snapshot.id, snapshot.bank.metadata.uid ?? '', role, password, settings),
    ...(usesEmbeddings(pass.bank, settings) ? { embeddingsKey: settings.EMBEDDINGS_KEY } : {}),
  };
  await means.applier.apply(buildSecret(pass.bank, pass.secrets));
  pass.verdicts.CredentialsReady = holds('Stored', "The bank's Secret holds its credentials.");
  return DONE;
};

async function readSecret(transport: Transport, key: string): Promise<Pick<StoredChild, 'data'> | undefined> {
  const { namespace = '', name } = splitKey(key);
  try {
    return await transport.request<Pick<StoredChild, 'data'>>('GET', childPath('Secret', namespace, name));
  } catch (error) {
    if (isApiError(error, 'not_found')) return undefined;
    throw error;
  }
}

/** The password in a bank's Secret; `undefined` when there is none for this role. */
export function passwordIn(secret: Pick<StoredChild, 'data'> | undefined, role: string): string | undefined {
  const text = Buffer.from(secret?.data?.[SECRET_DATABASE_URL] ?? '', 'base64').toString('utf8');
  if (!URL.canParse(text)) return undefined;
  const { username, password } = new URL(text);
  return decodeURIComponent(username) === role && /^[\x21-\x7e]{16,}$/.test(decodeURIComponent(password))
    ? decodeURIComponent(password)
    : undefined;
}

export function secretsOf(id: string, uid: string, role: string, password: string, settings: Settings): BankSecrets {
  const url = new URL(settings.DATABASE_URL);
  url.username = encodeURIComponent(role);
  url.password = encodeURIComponent(password);
  const key = deriveSealKey(settings.ROOT_KEY, 'pod', id, uid, KEY_GENERATION).toString('base64');
  return { databaseUrl: url.toString(), sealKeys: { [KEY_GENERATION]: key } };
}
