import { BankhouseError } from '@bankhouse/core';

/** What one bank's calls, and one caller's, may hold of the whole. */
const BANK_SHARE = 1 / 4;
const SUBJECT_SHARE = 1 / 8;

/** No room for more of this body now; answered by 503. */
export class BudgetError extends BankhouseError {
  constructor(whose: 'subject' | 'bank' | 'process') {
    const message = {
      subject: 'Your calls under way hold as much as one caller may; try again when some are answered.',
      bank: "This bank's calls under way hold as much as one bank may; try again in a second.",
      process: 'The calls under way hold as much as there is room for; try again in a second.',
    }[whose];
    super('memory_full', message);
    this.name = 'BudgetError';
  }
}

/** What is held for one call; released at its end. */
export interface Holding {
  /** Bytes of the request's body, on top of what is held. @throws BudgetError, and nothing more is held */
  take(bytes: number): void;
  /** Bytes of the answer that wait for the client: they are there in any case. @returns false: the process has no room for them */
  waiting(bytes: number): boolean;
  release(): void;
}

/**
 * The memory that all bodies and waiting answers of the process may take together: one budget, of which no bank and no caller can have more
 * than a share.
 */
export class MemoryBudget {
  private readonly total: number;
  private readonly shares = new Map<string, number>();
  private held = 0;

  /** @param total bytes */
  constructor(total: number) {
    this.total = total;
  }

  /** Bytes. */
  get used(): number {
    return this.held;
  }

  open(owner: { bank: string; subject: string }): Holding {
    const bank = `b ${owner.bank}`;
    const subject = `s ${owner.bank} ${owner.subject}`;
    let taken = 0;
    let waiting = 0;
    const add = (bytes: number) => {
      if (bytes === 0) return;
      this.held += bytes;
      this.addShare(bank, bytes);
      this.addShare(subject, bytes);
    };
    return {
      take: (bytes) => {
        if (this.shareOf(subject) + bytes > this.total * SUBJECT_SHARE) throw new BudgetError('subject');
        if (this.shareOf(bank) + bytes > this.total * BANK_SHARE) throw new BudgetError('bank');
        if (this.held + bytes > this.total) throw new BudgetError('process');
        taken += bytes;
        add(bytes);
      },
      waiting: (bytes) => {
        add(bytes - waiting);
        waiting = bytes;
        return this.held <= this.total;
      },
      release: () => {
        add(-taken - waiting);
        taken = 0;
        waiting = 0;
      },
    };
  }

  private shareOf(key: string): number {
    return this.shares.get(key) ?? 0;
  }

  private addShare(key: string, bytes: number): void {
    const share = this.shareOf(key) + bytes;
    if (share === 0) this.shares.delete(key);
    else this.shares.set(key, share);
  }
}
