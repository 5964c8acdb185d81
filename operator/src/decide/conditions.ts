import { BANK_CONDITIONS, type BankCondition, type Condition } from '@bankhouse/core';
import { fails, holds, type Verdict, waits } from './verdict.ts';

/** A verdict for every condition of a Bank but `Ready`, which follows from them. */
export type Verdicts = Record<Exclude<BankCondition, 'Ready'>, Verdict>;

/** `Ready` is as the first condition that does not hold, in the order in which they come true. */
export function summarize(verdicts: Verdicts, url: string): Verdict {
  for (const type of BANK_CONDITIONS) {
    if (type === 'Ready') continue;
    const { status, reason, message, inProgress } = verdicts[type];
    if (status !== 'True') return { ...fails(reason, message), ...(inProgress === true ? { inProgress } : {}) };
  }
  return holds('Ready', `MCP clients connect at ${url}.`);
}

/**
 * Verdicts as conditions. `lastTransitionTime` moves with the status and with nothing else.
 *
 * @param now RFC 3339
 */
export function toConditions(
  previous: readonly Condition[],
  verdicts: readonly (readonly [type: string, verdict: Verdict])[],
  generation: number,
  now: string,
): Condition[] {
  return verdicts.map(([type, { status, reason, message }]) => {
    const before = previous.find((condition) => condition.type === type);
    return {
      type,
      status,
      reason,
      message,
      observedGeneration: generation,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : now,
    };
  });
}

/** Every condition waits for the one before it, until a step says more. */
export function openingVerdicts(): Verdicts {
  return {
    Accepted: waits('The bank has not been looked at yet.'),
    DatabaseReady: waits('Waits until the bank is accepted.'),
    CredentialsReady: waits('Waits until the bank is accepted.'),
    ServerReady: waits('Waits until the bank is accepted.'),
    RouteReady: waits('Waits until the bank is accepted.'),
    Verified: waits('Waits until the bank is accepted.'),
  };
}
