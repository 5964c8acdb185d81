import { createHash } from 'node:crypto';

const START = Buffer.alloc(32);
/** Hexadecimal digits of the digest in a row's line: enough to tell which line is wrong. */
const SHORT = 16;

/**
 * The rolling digest of a file: after each line it is SHA-256 of (the digest before ‖ SHA-256 of the line without its seal). It
 * begins with 32 zero bytes behind the header, so that a file says the same of the same rows whenever and of whatever bank it
 * was made. It tells damage; whoever forges a file can compute it as well.
 */
export class Chain {
  private digest: Buffer = START;

  /** @param hash SHA-256 of the line without its seal */
  add(hash: Buffer): void {
    this.digest = createHash('sha256').update(this.digest).update(hash).digest();
  }

  get short(): string {
    return this.digest.toString('hex', 0, SHORT / 2);
  }

  get full(): string {
    return this.digest.toString('hex');
  }
}

export function sha256(text: string | Buffer): Buffer {
  return createHash('sha256').update(text).digest();
}
