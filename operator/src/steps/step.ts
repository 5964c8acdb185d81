import type { Bank, BankClass } from '@bankhouse/core';
import type { Clock, Transport } from '@bankhouse/kube';
import type { Applier } from '../cluster/apply.ts';
import type { Database } from '../database/index.ts';
import type { Verdicts } from '../decide/conditions.ts';
import type { Prober } from '../probe/index.ts';
import type { BankSecrets } from '../resources/index.ts';
import type { Settings } from '../settings.ts';
import type { Caches, Snapshot } from '../snapshot.ts';

/**
 * How a step ended.
 *
 * | kind         | next steps | the bank comes back           |
 * |--------------|------------|-------------------------------|
 * | done         | go on      |                               |
 * | requeueAfter | go on      | after `ms`                    |
 * | stalled      | none       | when something changes: a person has to act |
 * | error        | go on where they can | after its backoff    |
 */
export type StepResult =
  | { kind: 'done' }
  | { kind: 'requeueAfter'; ms: number }
  | { kind: 'stalled' }
  /** `retryWithin`: milliseconds to the next try at most, where many banks wait for one thing to come back. */
  | { kind: 'error'; error: unknown; retryWithin?: number };

export const DONE: StepResult = { kind: 'done' };

/** A pass over one bank: what it saw at its beginning, and what its steps found out for each other and for the status. */
export interface Pass {
  readonly snapshot: Readonly<Snapshot>;
  readonly verdicts: Verdicts;
  /** The Bank as last written by this pass. */
  bank: Bank;
  /** Set by `accepted`. */
  bankClass?: BankClass;
  /** Set by `credentials`. */
  secrets?: BankSecrets;
  /** Set by `serving`: the prober has yet to hear from the bank, and soon will or gives up. */
  answerIsNear?: boolean;
}

/** What steps act through. */
export interface Means {
  transport: Transport;
  caches: Caches;
  applier: Applier;
  database: Database;
  prober: Prober;
  settings: Settings;
  clock: Clock;
  /** Digest of what the database was last seen to have of a bank, by uid, and when. */
  seenInDatabase: Map<string, { digest: string; at: number }>;
}

/** Raises only what it can't foresee; that counts as `error`. */
export type Step = (pass: Pass, means: Means) => Promise<StepResult>;
