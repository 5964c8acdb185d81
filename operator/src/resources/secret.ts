import {
  SECRET_BANK_NAME,
  SECRET_DATABASE_URL,
  SECRET_EMBEDDINGS_KEY,
  SECRET_PASSWORD_PROOF,
  SECRET_SEAL_KEYS,
  SECRET_TOOL_PROFILE,
} from '@bankhouse/core';
import { type BankIdentity, type Child, childMetadata } from './model.ts';

/** What a bank's pod has to know and nobody else may. */
export interface BankSecrets {
  /** The bank's own `postgres://` URL with role and password. */
  databaseUrl: string;
  /** Keys of the pod seal by generation, base64. */
  sealKeys: Readonly<Record<string, string>>;
  /** That the password is ours; undefined where it says so itself. */
  passwordProof?: string | undefined;
  /** Of the endpoint for embeddings; undefined where there is none, or the bank doesn't use it. */
  embeddingsKey?: string | undefined;
}

/** The keys are the names of the files that the pod reads. */
export function buildSecret(
  bank: BankIdentity,
  secrets: BankSecrets,
): Child<{ type: string; data: Record<string, string> }> {
  const { displayName, tools } = bank.spec;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: childMetadata(bank),
    type: 'Opaque',
    data: {
      [SECRET_DATABASE_URL]: base64(secrets.databaseUrl),
      [SECRET_SEAL_KEYS]: base64(JSON.stringify(secrets.sealKeys)),
      ...(secrets.passwordProof === undefined ? {} : { [SECRET_PASSWORD_PROOF]: base64(secrets.passwordProof) }),
      ...(displayName === undefined ? {} : { [SECRET_BANK_NAME]: base64(displayName) }),
      ...(tools?.profile === undefined ? {} : { [SECRET_TOOL_PROFILE]: base64(tools.profile) }),
      ...(secrets.embeddingsKey === undefined ? {} : { [SECRET_EMBEDDINGS_KEY]: base64(secrets.embeddingsKey) }),
    },
  };
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
