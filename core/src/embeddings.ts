import { z } from 'zod';
import { ConfigError } from './errors.ts';

/** Of a vector. */
export const EMBEDDINGS_MAX_DIMENSIONS = 8192;

/** Where embeddings come from, for the bank server, the operator and `bankhouse embed` (R3.12). */
export interface EmbeddingsConfig {
  /** Base of an OpenAI-compatible API, such as `https://api.openai.com/v1`; `/embeddings` is added. */
  url: string;
  model: string;
  /** Asked of the endpoint, where its models can shorten their vectors; absent: the model's own. */
  dimensions?: number;
  /** PEM, beside the public CAs. */
  ca?: string;
}

/** Variables of the environment; absent altogether where there is no semantic search. */
export const embeddingsVariables = {
  EMBEDDINGS_URL: z
    .string()
    .describe("give the base URL of an OpenAI-compatible API, such as 'https://api.openai.com/v1'")
    .refine(isBaseUrl, {
      message:
        "it must be an http or https URL without user, password or the path's end /embeddings, such as https://api.openai.com/v1",
    })
    .optional(),
  EMBEDDINGS_MODEL: z.string().min(1).max(200).optional(),
  EMBEDDINGS_DIMENSIONS: z.coerce
    .number({ error: `it must be a whole number from 1 to ${EMBEDDINGS_MAX_DIMENSIONS}` })
    .int(`it must be a whole number from 1 to ${EMBEDDINGS_MAX_DIMENSIONS}`)
    .min(1, 'it must be at least 1')

    .max(EMBEDDINGS_MAX_DIMENSIONS, `it must be at most ${EMBEDDINGS_MAX_DIMENSIONS}`)
    .optional(),
  EMBEDDINGS_CA: z.string().startsWith('-----BEGIN', 'it must be a PEM certificate').optional(),
};

export type EmbeddingsVariables = z.infer<z.ZodObject<typeof embeddingsVariables>>;

/** @throws ConfigError for a URL without a model, and for the rest without a URL */
export function embeddingsConfig(variables: EmbeddingsVariables): EmbeddingsConfig | undefined {
  const {
    EMBEDDINGS_URL: url,
    EMBEDDINGS_MODEL: model,
    EMBEDDINGS_DIMENSIONS: dimensions,
    EMBEDDINGS_CA: ca,
  } = variables;
  if (url === undefined) {
    const other = Object.keys(embeddingsVariables).find(
      (name) => variables[name as keyof EmbeddingsVariables] !== undefined,
    );
    if (other === undefined) return undefined;
    throw new ConfigError(`${other} is set without EMBEDDINGS_URL: set both, or neither.`);
  }
  if (model === undefined) {
    throw new ConfigError(
      'EMBEDDINGS_MODEL is not set: name the model that EMBEDDINGS_URL serves, such as text-embedding-3-small.',
    );
  }
  return { url, model, ...(dimensions === undefined ? {} : { dimensions }), ...(ca === undefined ? {} : { ca }) };
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, pathname, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username + password + hash === '' && !/\/embeddings\/?$/.test(pathname);
}
