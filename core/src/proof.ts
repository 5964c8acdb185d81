import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** Header of a bank server's answer: that whoever gives it has the bank's key. It ends at the gateway. */
export const PROOF_HEADER = 'bankhouse-proof';
/** Header of the gateway's answer to an operator's handshake (`mcp:verify`) that came with a proof: the image that gave it. */
export const PROVEN_IMAGE_HEADER = 'bankhouse-proven-image';

/** By seal key: it is derived once, and goes with the key. */
const proofKeys = new WeakMap<Uint8Array, Buffer>();

/**
 * The proof that belongs to a request: base64url HMAC-SHA256 of its assertion as sealed for the pod (so of request id, `jti` and time), under
 * HKDF-SHA256 of the key that sealed it with `info = "bankhouse/proof"`. An address that passed to another pod doesn't have the key (G9).
 *
 * @param keys by generation, as for `openAssertion`
 * @returns undefined where the key is not among them
 */
export function proofOf(sealed: string, keys: ReadonlyMap<number, Uint8Array>): string | undefined {
  const key = keys.get(Number.parseInt(sealed, 10));
  return key === undefined ? undefined : proofUnder(sealed, key);
}

/** Whether that is the proof of a request that was sealed so; in a time that says nothing of the right one. */
export function isProof(claimed: string, sealed: string, key: Uint8Array): boolean {
  const [left, right] = [Buffer.from(claimed), Buffer.from(proofUnder(sealed, key))];
  return left.length === right.length && timingSafeEqual(left, right);
}

function proofUnder(sealed: string, key: Uint8Array): string {
  let derived = proofKeys.get(key);
  if (derived === undefined) {
    derived = Buffer.from(hkdfSync('sha256', key, '', 'bankhouse/proof', 32));
    proofKeys.set(key, derived);
  }
  return createHmac('sha256', derived).update(sealed).digest('base64url');
}
