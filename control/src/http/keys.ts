import { createHash, timingSafeEqual } from 'node:crypto';
import type { Minter } from '../issuer/grant.ts';

/** What stands for a credential wherever it is compared or counted: 32 bytes, whatever its length. */
export function digestOf(credential: string): Buffer {
  return createHash('sha256').update(credential).digest();
}

/** Tells which of our keys a credential is, by its digest. All are compared in constant time, whichever matches. */
export function createKeyCheck(
  keys: Readonly<Partial<Record<Minter, string>>>,
): (offered: Buffer) => Minter | undefined {
  const digests = (Object.entries(keys) as [Minter, string][]).map(([minter, key]) => [minter, digestOf(key)] as const);
  return (offered) => {
    let found: Minter | undefined;
    for (const [minter, expected] of digests) if (timingSafeEqual(offered, expected)) found = minter;
    return found;
  };
}
