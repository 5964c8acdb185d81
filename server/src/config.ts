import {
  BANK_SECRET_DIR,
  BANK_SERVER_PORT,
  type EmbeddingsConfig,
  type Environment,
  embeddingsConfig,
  embeddingsVariables,
  isBankId,
  loadConfig,
  portSchema,
} from '@bankhouse/core';
import { z } from 'zod';
import { TOOLSET_NAMES, type ToolsetName } from './toolsets/index.ts';

const toolsetList = z
  .string()
  .default(TOOLSET_NAMES.join(','))
  .transform((value) => value.split(',').map((name) => name.trim()))
  .refine((names): names is ToolsetName[] => names.every((name) => TOOLSET_NAMES.includes(name as ToolsetName)), {
    message: `it must be a comma-separated list of toolsets; there are: ${TOOLSET_NAMES.join(', ')}`,
  });

const configSchema = z.object({
  BANK_ID: z
    .string()
    .describe("give the bank's id, as in /mcp/bank-<id>")
    .refine(isBankId, { message: 'it must be a DNS label of at most 40 characters' }),
  TOOLSETS: toolsetList,
  SECRET_DIR: z.string().default(BANK_SECRET_DIR),
  PORT: portSchema.default(BANK_SERVER_PORT),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  ...embeddingsVariables,
});

export interface ServerConfig {
  bank: string;
  toolsets: readonly ToolsetName[];
  /** Absent: semantic search is off. */
  embeddings?: EmbeddingsConfig;
  /** Folder with the files `database-url` and `seal-keys`, and maybe `embeddings-key` and `bank-name`. */
  secretDir: string;
  port: number;
  logLevel: string;
}

/** @throws ConfigError one sentence per wrong variable */
export function loadServerConfig(env: Environment): ServerConfig {
  const config = loadConfig(configSchema, env);
  const embeddings = embeddingsConfig(config);
  return {
    bank: config.BANK_ID,
    toolsets: [...new Set(config.TOOLSETS)],
    ...(embeddings === undefined ? {} : { embeddings }),
    secretDir: config.SECRET_DIR,
    port: config.PORT,
    logLevel: config.LOG_LEVEL,
  };
}
