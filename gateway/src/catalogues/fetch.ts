import {
  BankhouseError,
  CATALOGUE_MAX_BYTES,
  CATALOGUE_PATH,
  catalogueDigest,
  type KnownCatalogue,
  messageOf,
  POD_ASSERTION_HEADER,
  PROOF_HEADER,
  readCatalogue,
} from '@bankhouse/core';
import { isTooFine } from '../http/body.ts';
import type { BankRoute } from '../routing/routing-table.ts';
import type { Sealer } from '../seal.ts';
import type { Upstream } from '../upstream/upstreams.ts';

/** From the first byte that is sent to the last that is read. */
const LIMIT_MS = 2_000;

/** The pod gave no catalogue that can be taken. Its bank's calls are judged by what was known before. */
export class CatalogueFetchError extends BankhouseError {
  constructor(problem: string, options?: { cause: unknown }) {
    super('catalogue_not_fetched', problem, options);
    this.name = 'CatalogueFetchError';
  }
}

/** No connection was taken, so nobody was asked. */
export class NobodyThereError extends CatalogueFetchError {}

/** How a bank's catalogue comes from one of its pods. `bytes`: as it was sent. */
export type FetchCatalogue = (
  route: BankRoute,
  upstream: Upstream,
) => Promise<{ catalogue: KnownCatalogue; bytes: number }>;

/**
 * Asks over the way of the calls: sealed with what opens nothing of the bank's rows, and for the pod alone; believed where the answer's proof is of
 * this request and of every byte of the body.
 *
 * @param frontDoor who asks: our own issuer, as nobody's token
 */
export function catalogueFetcher({ sealer, frontDoor }: { sealer: Sealer; frontDoor: string }): FetchCatalogue {
  return async (route, upstream) => {
    const iat = Math.floor(Date.now() / 1000);
    const sealed = sealer.seal(
      {
        bank: route.id,
        sub: 'gateway',
        iss: frontDoor,
        access: 'none',
        scopes: [],
        vaults: [],
        jti: crypto.randomUUID(),
        exp: iat + LIMIT_MS / 1000,
        iat,
        rid: 'catalogue',
      },
      route,
      upstream.keyGeneration,
    );
    const { proof, body } = await ask(upstream, sealed.pod);
    const generation = sealed.check(proof, catalogueDigest(body));
    if (generation === undefined) throw new CatalogueFetchError('What it says is not proven to be the catalogue.');
    upstream.keyGeneration = generation;
    return { catalogue: readCatalogue(body), bytes: body.length };
  };
}

async function ask({ pool }: Upstream, sealed: string): Promise<{ proof: string; body: Buffer }> {
  try {
    const { statusCode, headers, body } = await pool.request({
      method: 'GET',
      path: CATALOGUE_PATH,
      headers: { [POD_ASSERTION_HEADER]: sealed },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    // What is left unread is an error of the stream's when it is closed, and of nobody else's.
    body.on('error', () => {});
    if (statusCode !== 200) {
      body.destroy();
      throw new CatalogueFetchError(`It answered ${statusCode}.`);
    }
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of body as AsyncIterable<Buffer>) {
      length += part.length;
      // Leaving the loop closes the connection.
      if (length > CATALOGUE_MAX_BYTES)
        throw new CatalogueFetchError(`It is longer than ${CATALOGUE_MAX_BYTES} bytes.`);
      parts.push(part);
      if (isTooFine(parts.length, length)) throw new CatalogueFetchError('It comes in too many, too small parts.');
    }
    return { proof: String(headers[PROOF_HEADER]), body: Buffer.concat(parts, length) };
  } catch (error) {
    if (error instanceof CatalogueFetchError) throw error;
    const isRefused = (error as { code?: unknown }).code === 'ECONNREFUSED';
    throw new (isRefused ? NobodyThereError : CatalogueFetchError)(messageOf(error), { cause: error });
  }
}
