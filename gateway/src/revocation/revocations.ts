import { TOKEN_MAX_TTL_SECONDS } from '@bankhouse/core';
import { z } from 'zod';

/** Clocks differ; what is over is kept for a little longer. */
const KEPT_BEYOND_SECONDS = 60;

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
 * It only grows, until nothing that was revoked could be valid any more: a database that was set back, or failed over to a replica that
 * lacked the last transactions, makes no revoked token good again.
 *
 * Fresh means that a read of the database that was sent not longer than `maxStalenessMs` ago was answered: whatever was revoked
 * before it was sent is known here.
 */
export class Revocations {
  private readonly maxStalenessMs: number;
  private readonly now: () => number;
  private readonly tokens = new Map<string, number>();
  private readonly epochs = new Map<string, number>();
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
    if ('jti' in notice) this.tokens.set(notice.jti, Math.max(notice.exp, this.tokens.get(notice.jti) ?? 0));
    else this.epochs.set(notice.bank, Math.max(notice.notBefore, this.epochs.get(notice.bank) ?? 0));
  }

  /**
   * Takes in what a read of all that is in the tables found.
   *
   * @param now seconds since 1970
   * @returns how many revocations that still matter the tables no longer have: a database that lost what it had confirmed
   */
  reconcile(notices: Iterable<RevocationNotice>, now: number): number {
    const found = new Set<string>();
    for (const notice of notices) {
      this.add(notice);
      found.add('jti' in notice ? `t ${notice.jti}` : `b ${notice.bank} ${notice.notBefore}`);
    }
    let lost = 0;
    for (const [jti, exp] of this.tokens) {
      if (exp + KEPT_BEYOND_SECONDS < now) this.tokens.delete(jti);
      else if (!found.has(`t ${jti}`) && exp > now) lost += 1;
    }
    for (const [bank, notBefore] of this.epochs) {
      if (notBefore + TOKEN_MAX_TTL_SECONDS + KEPT_BEYOND_SECONDS < now) this.epochs.delete(bank);
      else if (!found.has(`b ${bank} ${notBefore}`)) lost += 1;
    }
    return lost;
  }

  /** Everything revoked up to the instant `at` (of `now`'s clock) is known. */
  confirm(at: number): void {
    this.confirmedAt = Math.max(this.confirmedAt, at);
  }
}
