import { BankhouseError } from '@bankhouse/core';

/** What the user typed can't be meant: exit code 2. */
export class UsageError extends BankhouseError {
  constructor(message: string) {
    super('usage', message);
    this.name = 'UsageError';
  }
}
