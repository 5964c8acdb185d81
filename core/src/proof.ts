import { createHmac, hkdfSync } from 'node:crypto';
import { sameText } from './same-text.ts';

/** Header of a bank server's answer: that whoever gives it has the bank's key. It ends at the gateway. */
export const PROOF_HEADER = 'bankhouse-proof';
/** Header of the gateway's answer to an operator's handshake (`mcp:verify`) that came with a proof: the image that gave it. */
export const PROVEN_IMAGE_HEADER = 'bankhouse-proven-image';

/** By seal key: it is derived once, and goes with the key. */
const proofKeys = new WeakMap<Uint8Array, Buffer>();

/**
 * The proof that belongs to a request, `<generation>.<mac>`: the newest generation of keys that the pod has, and base64url HMAC-SHA256 of it and
 * of the assertion as sealed for the pod (so of request id, `jti` and time), under HKDF-SHA256 of the key that sealed that with
 * `info = "bankhouse/proof"`. An address that passed to another pod doesn't have the key (G9).
 *
 * @param keys by generation, as for `openAssertion`
 * @param said the digest of the catalogue that the answer names or is, which is then sealed with it
 * @returns undefined where the key is not among them
 */
export function proofOf(sealed: string, keys: ReadonlyMap<number, Uint8Array>, said?: string): string | undefined {
  const key = keys.get(Number.parseInt(sealed, 10));
  return key === undefined ? undefined : proofUnder(key, { sealed, said, generation: Math.max(...keys.keys()) });
}

/**
 * Checks the proof of a request that was sealed so, in a time that says nothing of the right one.
 *
 * @returns the newest generation of keys that the pod has; undefined: it proves nothing
 */
export function checkProof(claimed: string, sealed: string, key: Uint8Array, said?: string): number | undefined {
  const named = /^([0-9]{1,9})\.[A-Za-z0-9_-]{43}$/.exec(claimed)?.[1];
  if (named === undefined) return undefined;
  const generation = Number(named);
  return sameText(claimed, proofUnder(key, { sealed, said, generation })) ? generation : undefined;
}

function proofUnder(
  key: Uint8Array,
  { sealed, said, generation }: { sealed: string; said: string | undefined; generation: number },
): string {
  let derived = proofKeys.get(key);
  if (derived === undefined) {
    derived = Buffer.from(hkdfSync('sha256', key, '', 'bankhouse/proof', 32));
    proofKeys.set(key, derived);
  }
  // Neither of the two has a blank in it.
  const text = said === undefined ? `${generation} ${sealed}` : `${generation} ${sealed} ${said}`;
  return `${generation}.${createHmac('sha256', derived).update(text).digest('base64url')}`;
}
