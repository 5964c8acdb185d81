import type { V1EnvVar } from '@kubernetes/client-node';
import type { OperatorConfig } from '../config.ts';
import type { BankIdentity } from './model.ts';

/** Whether a bank's pod asks the endpoint for embeddings; one that does not learns nothing of it and can't reach it. */
export function usesEmbeddings(bank: BankIdentity, config: Pick<OperatorConfig, 'EMBEDDINGS_URL'>): boolean {
  return config.EMBEDDINGS_URL !== undefined && bank.spec.toolsets.includes('semantic');
}

const VARIABLES = ['EMBEDDINGS_URL', 'EMBEDDINGS_MODEL', 'EMBEDDINGS_DIMENSIONS', 'EMBEDDINGS_CA'] as const;

export type EmbeddingsEnvironment = Pick<OperatorConfig, (typeof VARIABLES)[number]>;

/** Of the bank server; the key is a file of the bank's Secret. */
export function embeddingsEnv(bank: BankIdentity, config: EmbeddingsEnvironment): V1EnvVar[] {
  if (!usesEmbeddings(bank, config)) return [];
  return VARIABLES.flatMap((name) => {
    const value = config[name];
    return value === undefined ? [] : [{ name, value: String(value) }];
  });
}
