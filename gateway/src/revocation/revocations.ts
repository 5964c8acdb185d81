import { z } from 'zod';

const noticeSchema = z.union([
  z.object({ jti: z.string(), exp: z.number() }),
  z.object({ bank: z.string(), notBefore: z.number() }),
]);

/** One revocation, times in seconds since 1970: of a token until it expires anyway, or of all tokens of a bank up to an instant. */
export type RevocationNotice = z.infer<typeof noticeSchema>;

/** @throws ZodError */
export function parseNotices(value: unknown): RevocationNotice[] {
  return z.array(noticeSchema).parse(value);
}

/**
 * What is revoked (R1.4), and whether that knowledge is fresh. Pure: the feed fills it.
 *
 * Fresh means that a read of the database that was sent not longer than `maxStalenessMs` ago was answered: whatever was revoked
 * before it was sent is known here.
 */
export class Revocations {
  private readonly maxStalenessMs: number;
  private readonly now: () => number;
  private tokens = new Map<string, number>();
  private epochs = new Map<string, number>();
  private confirmedAt = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds, monotonic */
  constructor(maxStalenessMs: number, now: () => number = () => performance.now()) {
    this.maxStalenessMs = maxStalenessMs;
    this.now = now;
  }

  get isFresh(): boolean {
    return this.stalenessMs <= this.maxStalenessMs;
  }

  /** Infinity before the first confirmation. */
  get stalenessMs(): number {
    return this.now() - this.confirmedAt;
  }

  get size(): number {
    return this.tokens.size + this.epochs.size;
  }

  isRevoked(claims: { jti: string; iat: number }, bank: string): boolean {
    if (this.tokens.has(claims.jti)) return true;
    const notBefore = this.epochs.get(bank);
    return notBefore !== undefined && claims.iat < notBefore;
  }

  add(notice: RevocationNotice): void {
    if ('jti' in notice) this.tokens.set(notice.jti, notice.exp);
    else this.epochs.set(notice.bank, Math.max(notice.notBefore, this.epochs.get(notice.bank) ?? 0));
  }

  /** Replaces everything by what a read of the tables found. */
  replace(notices: Iterable<RevocationNotice>): void {
    this.tokens = new Map();
    this.epochs = new Map();
    for (const notice of notices) this.add(notice);
  }

  /** Everything revoked up to the instant `at` (of `now`'s clock) is known. */
  confirm(at: number): void {
    this.confirmedAt = Math.max(this.confirmedAt, at);
  }
}
