import type { TokenClaims } from '@bankhouse/core';
import type { FastifyRequest } from 'fastify';
import type { BankEntry } from '../database/directory.ts';
import { findBank } from '../database/directory.ts';
import { isRevoked } from '../database/revocations.ts';
import type { Minter } from '../issuer/grant.ts';
import { readOwnToken } from '../issuer/verify.ts';
import { ApiError } from './errors.ts';
import type { Services } from './services.ts';

export type Caller = { kind: Minter } | { kind: 'token'; claims: TokenClaims; bank: BankEntry };

const CHALLENGE = { 'www-authenticate': 'Bearer realm="bankhouse"' };

/**
 * Who calls: the holder of one of our keys, or of a bank's token.
 *
 * @throws ApiError 401 `unauthorized`, 429 `too_many_failures`, 403 `forbidden` for a caller of another kind than allowed
 */
export async function authenticate<K extends Caller['kind']>(
  request: FastifyRequest,
  services: Services,
  allowed: readonly K[],
): Promise<Extract<Caller, { kind: K }>> {
  const header = request.headers.authorization;
  if (header === undefined) throw unauthorized(`Send "Authorization: Bearer KEY" with ${namesOf(allowed)}.`);
  const credential = /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(header)?.[1];
  const caller = credential === undefined ? undefined : await identify(credential, services);
  if (caller === undefined) {
    const waitSeconds = services.failures.add(request.ip);
    services.metrics.refused.inc();
    if (waitSeconds !== undefined) {
      throw new ApiError(429, 'too_many_failures', `Too many wrong credentials; try again in ${waitSeconds} seconds.`, {
        headers: { 'retry-after': String(waitSeconds) },
      });
    }
    throw unauthorized(`This is not ${namesOf(allowed)}, or it is expired or revoked.`);
  }
  if (!isAllowed(caller, allowed)) {
    throw new ApiError(403, 'forbidden', `This needs ${namesOf(allowed)}; what you sent is ${NAMES[caller.kind]}.`);
  }
  return caller;
}

const NAMES: Record<Caller['kind'], string> = {
  admin: 'the admin key',
  verifier: 'the verifier key',
  token: "a bank's token",
};

function namesOf(kinds: readonly Caller['kind'][]): string {
  return kinds.map((kind) => NAMES[kind]).join(' or ');
}

function isAllowed<K extends Caller['kind']>(
  caller: Caller,
  allowed: readonly K[],
): caller is Extract<Caller, { kind: K }> {
  return (allowed as readonly string[]).includes(caller.kind);
}

async function identify(credential: string, services: Services): Promise<Caller | undefined> {
  const minter = services.checkKey(credential);
  if (minter !== undefined) return { kind: minter };
  const token = await readOwnToken(credential, services.signer, services.frontDoor);
  if (token === undefined || token.claims.exp <= services.now()) return undefined;
  const bank = await findBank(services.database, token.bank);
  if (bank === undefined || token.claims.iat < (bank.notBefore ?? 0)) return undefined;
  return (await isRevoked(services.database, token.claims.jti))
    ? undefined
    : { kind: 'token', claims: token.claims, bank };
}

function unauthorized(message: string): ApiError {
  return new ApiError(401, 'unauthorized', message, { headers: CHALLENGE });
}
