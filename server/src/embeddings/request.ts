import { messageOf } from '@bankhouse/core';
import { EmbeddingsError } from './error.ts';

/** 64 vectors of 8,192 numbers, each of up to 25 characters. */
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

export interface Exchange {
  status: number;
  /** Seconds from now, or undefined. */
  retryAfter: number | undefined;
  body: string;
}

/**
 * One POST of JSON. node:http and not fetch: it takes a CA, and its answer is counted while it comes in. TLS is loaded when it
 * is needed: a pod whose embeddings are off starts 8 ms sooner without it.
 *
 * @throws EmbeddingsError `unreachable`, `untrusted`, `malformed` for an answer of more than 16 MiB; the signal's reason when that fired
 */
export async function post(
  url: URL,
  body: string,
  options: { key: string | undefined; ca: string | undefined; signal: AbortSignal },
): Promise<Exchange> {
  const { promise, resolve, reject } = Promise.withResolvers<Exchange>();
  const { key, ca, signal } = options;
  const isSecure = url.protocol === 'https:';
  const { request: send } = isSecure ? await import('node:https') : await import('node:http');
  const trusted = ca === undefined ? undefined : [...(await import('node:tls')).rootCertificates, ca];
  signal.throwIfAborted();
  const fail = (error: unknown) => reject(signal.aborted ? signal.reason : explained(error));
  const request = send(
    url,
    {
      method: 'POST',
      signal,
      ...(trusted === undefined ? {} : { ca: trusted }),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        accept: 'application/json',
        'user-agent': 'bankhouse',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
    },
    (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_RESPONSE_BYTES) {
          response.destroy(new EmbeddingsError('malformed', 'The embeddings endpoint answered with more than 16 MiB.'));
        } else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          retryAfter: secondsOf(response.headers['retry-after'], Date.now()),
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    },
  );
  request.on('error', fail);
  request.end(body);
  return promise;
}

function explained(error: unknown): EmbeddingsError {
  if (error instanceof EmbeddingsError) return error;
  const options = { cause: error };
  if (/CERT|SELF_SIGNED|ISSUER|ERR_TLS/.test(String((error as { code?: unknown } | null)?.code))) {
    return new EmbeddingsError('untrusted', "The embeddings endpoint's certificate is not trusted.", options);
  }
  return new EmbeddingsError('unreachable', `The embeddings endpoint can't be reached (${messageOf(error)}).`, options);
}

/** Retry-After (RFC 9110 section 10.2.3): seconds or a date. */
export function secondsOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
