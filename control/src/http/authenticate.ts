import type { TokenClaims } from '@bankhouse/core';
import type { FastifyRequest } from 'fastify';
import type { BankEntry } from '../database/directory.ts';
import { findBank } from '../database/directory.ts';
import { isRevoked } from '../database/revocations.ts';
import { ApiError } from '../errors.ts';
import type { Minter } from '../issuer/grant.ts';
import { readOwnToken } from '../issuer/verify.ts';
import { sourceOf } from './failure-limit.ts';
import { digestOf } from './keys.ts';
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
  const caller = await identify(/^Bearer +([\x21-\x7e]{1,8192})$/i.exec(header)?.[1], header, request, services);
  if (caller === undefined) {
    services.metrics.refused.inc();
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

/** A key of ours is told at once, and never has to wait; anything else is counted before it costs more. */
async function identify(
  credential: string | undefined,
  header: string,
  request: FastifyRequest,
  services: Services,
): Promise<Caller | undefined> {
  const digest = digestOf(credential ?? header);
  const minter = credential === undefined ? undefined : services.checkKey(digest);
  if (minter !== undefined) return { kind: minter };
  const attempt = services.failures.begin(digest.toString('base64'), sourceOf(request.ip, isFromUnknownProxy(request)));
  if ('waitSeconds' in attempt) {
    services.metrics.refused.inc();
    const { waitSeconds } = attempt;
    throw new ApiError(429, 'too_many_failures', `Too many wrong credentials; try again in ${waitSeconds} seconds.`, {
      headers: { 'retry-after': String(waitSeconds) },
    });
  }
  const caller = credential === undefined ? undefined : await identifyToken(credential, services);
  attempt[caller === undefined ? 'wrong' : 'right']();
  return caller;
}

/** Somebody speaks for others who is not among TRUSTED_PROXIES: not believed, and not taken for the client either. */
function isFromUnknownProxy(request: FastifyRequest): boolean {
  const { ips, headers } = request;
  if (ips !== undefined && ips.length > 1) return false;
  return headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
}

async function identifyToken(credential: string, services: Services): Promise<Caller | undefined> {
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
