import { setTimeout as delay } from 'node:timers/promises';
import { EMBEDDINGS_MAX_DIMENSIONS, type EmbeddingsConfig } from '@bankhouse/core';
import { z } from 'zod';
import { EmbeddingsError } from './error.ts';
import { type Exchange, post } from './request.ts';

/** Of one request: what the stingiest of the common servers takes by default, and a body of a moderate size. */
const MAX_INPUTS = 32;
const MAX_CHARACTERS = 64_000;
/** Of one text; more would not fit the context of most models. What is longer is cut. */
const MAX_INPUT_CHARACTERS = 8000;
const DEADLINE_MS = 10_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 250;

export interface EmbedOptions {
  signal?: AbortSignal;
  /** For all requests and pauses together, in milliseconds. Default: 10,000. */
  deadlineMs?: number;
  /** Tries of one request. Default: 4. */
  attempts?: number;
}

export interface EmbeddingsClient {
  readonly model: string;
  /** Those that are asked for; undefined: the model's own. */
  readonly dimensions: number | undefined;
  /**
   * A vector of length 1 for each text, in their order; all of as many dimensions.
   *
   * @param texts none of them blank; each is cut after 8,000 characters
   * @throws EmbeddingsError; the signal's reason when that fired
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<Float32Array[]>;
}

const answerSchema = z.object({
  data: z.array(
    z.object({ index: z.int().min(0), embedding: z.array(z.number()).min(1).max(EMBEDDINGS_MAX_DIMENSIONS) }),
  ),
});
const failureSchema = z.object({ error: z.union([z.string(), z.object({ message: z.string() })]) });

/**
 * A client of any OpenAI-compatible endpoint for embeddings. (The package `openai` takes over 100 ms to load and 370 kB of the
 * bundle, for one POST.)
 *
 * @param options.key asked for each request, because it may be rotated; undefined where the endpoint needs none
 */
export function createEmbeddings(
  config: EmbeddingsConfig,
  options: { key: () => string | undefined; random?: () => number },
): EmbeddingsClient {
  const url = new URL(config.url);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/embeddings`;
  const random = options.random ?? Math.random;

  const ask = async (texts: readonly string[], signal: AbortSignal, deadline: number, attempts: number) => {
    const body = JSON.stringify({
      model: config.model,
      input: texts,
      ...(config.dimensions === undefined ? {} : { dimensions: config.dimensions }),
      encoding_format: 'float',
    });
    for (let attempt = 1; ; attempt++) {
      const failure = await attemptOf(async () => {
        const key = options.key();
        const exchange = await post(url, body, { key, ca: config.ca, signal });
        return exchange.status === 200 ? toVectors(exchange.body, texts.length, config) : failureOf(exchange, key);
      });
      if (!(failure instanceof EmbeddingsError)) return failure;
      const wait = failure.retryAfter ?? FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + random());
      if (!failure.retryable || attempt >= attempts || performance.now() + wait >= deadline) throw failure;
      await delay(wait, undefined, { signal });
    }
  };

  return {
    model: config.model,
    dimensions: config.dimensions,
    async embed(texts, { signal, deadlineMs = DEADLINE_MS, attempts = ATTEMPTS } = {}) {
      const deadline = performance.now() + deadlineMs;
      const timeout = AbortSignal.timeout(Math.ceil(deadlineMs));
      const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
      const vectors: Float32Array[] = [];
      try {
        for (const batch of batchesOf(texts.map((text) => cut(text, MAX_INPUT_CHARACTERS)))) {
          both.throwIfAborted();
          vectors.push(...(await ask(batch, both, deadline, attempts)));
        }
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (!timeout.aborted) throw error;
        throw new EmbeddingsError(
          'timeout',
          `The embeddings endpoint did not answer within ${Math.ceil(deadlineMs / 1000)} seconds.`,
        );
      }
      if (vectors.some((vector) => vector.length !== vectors[0]?.length)) throw malformed('vectors of several lengths');
      return vectors;
    },
  };
}

/** An EmbeddingsError as a value: whether it ends the call depends on the attempts that are left. */
async function attemptOf<T>(work: () => Promise<T | EmbeddingsError>): Promise<T | EmbeddingsError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EmbeddingsError) return error;
    throw error;
  }
}

function* batchesOf(texts: readonly string[]): Generator<string[]> {
  let batch: string[] = [];
  let characters = 0;
  for (const text of texts) {
    if (batch.length === MAX_INPUTS || (batch.length > 0 && characters + text.length > MAX_CHARACTERS)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(text);
    characters += text.length;
  }
  if (batch.length > 0) yield batch;
}

/** Never between the halves of a character. */
function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');
}

function toVectors(body: string, count: number, config: EmbeddingsConfig): Float32Array[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw malformed('something that is no JSON');
  }
  const answer = answerSchema.safeParse(json);
  if (!answer.success) throw malformed('something that is no list of vectors');
  const vectors: (Float32Array | undefined)[] = Array.from({ length: count });
  for (const { index, embedding } of answer.data.data) {
    if (config.dimensions !== undefined && embedding.length !== config.dimensions) {
      throw malformed(`vectors of ${embedding.length} dimensions instead of ${config.dimensions}`);
    }
    if (index < count) vectors[index] = toUnit(embedding);
  }
  const all = vectors.filter((vector) => vector !== undefined);
  if (all.length !== count || answer.data.data.length !== count) {
    throw malformed(`${answer.data.data.length} vectors for ${count} texts`);
  }
  return all;
}

function toUnit(values: readonly number[]): Float32Array {
  const length = Math.hypot(...values);
  if (!Number.isFinite(length) || length === 0) throw malformed('a vector without direction');
  return Float32Array.from(values, (value) => value / length);
}

function malformed(what: string): EmbeddingsError {
  return new EmbeddingsError('malformed', `The embeddings endpoint answered with ${what}.`);
}

function failureOf({ status, retryAfter, body }: Exchange, key: string | undefined): EmbeddingsError {
  if (status === 401 || status === 403) {
    const problem = key === undefined ? 'wants a key, and there is none' : 'refuses the key';
    return new EmbeddingsError('refused', `The embeddings endpoint ${problem} (HTTP ${status}).`);
  }
  if (status === 429 || status >= 500) {
    const when = retryAfter === undefined ? '' : `, and asks to wait ${Math.ceil(retryAfter)} seconds`;
    return new EmbeddingsError('busy', `The embeddings endpoint is overloaded or broken (HTTP ${status})${when}.`, {
      retryAfter: retryAfter === undefined ? undefined : retryAfter * 1000,
    });
  }
  return new EmbeddingsError('rejected', `The embeddings endpoint rejects the request (HTTP ${status}).`, {
    cause: new Error(saidBy(body, key)),
  });
}

/** What the endpoint said, for the log: short, and without the key should it be repeated there. */
function saidBy(body: string, key: string | undefined): string {
  let said = '';
  try {
    const failure = failureSchema.safeParse(JSON.parse(body));
    if (failure.success)
      said = typeof failure.data.error === 'string' ? failure.data.error : failure.data.error.message;
  } catch {
    // Not JSON, so there is nothing in it that is meant for us.
  }
  const known = key === undefined ? said : said.replaceAll(key, '[redacted]');
  return known === '' ? 'It gives no reason.' : known.slice(0, 300);
}
