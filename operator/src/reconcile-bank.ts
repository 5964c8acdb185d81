import {
  BANK_CONDITIONS,
  type BankStatus,
  bankUrl,
  databaseRole,
  FINALIZER,
  type Logger,
  messageOf,
} from '@bankhouse/core';
import { isApiError, type Outcome } from '@bankhouse/kube';
import type { EventRecorder } from './cluster/events.ts';
import { bankPath } from './cluster/paths.ts';
import { writeStatus } from './cluster/status.ts';
import { openingVerdicts, summarize, toConditions } from './decide/conditions.ts';
import { phaseOf } from './decide/phase.ts';
import { fails, type Verdict } from './decide/verdict.ts';
import { versionOf } from './decide/version.ts';
import { serverImage } from './resources/index.ts';
import { KEY_GENERATION, RESYNC_MS } from './settings.ts';
import { type BankIndex, gather } from './snapshot.ts';
import { FAREWELL, type Means, type Pass, type Step, type StepResult, UPKEEP } from './steps/index.ts';

export interface BankReconcilerOptions {
  means: Means;
  index: BankIndex;
  events: EventRecorder;
  logger: Logger;
}

/** One pass over one bank: gather, run the steps, write the status, say what changed. */
export function createBankReconciler({ means, index, events, logger }: BankReconcilerOptions) {
  return async (key: string): Promise<Outcome> => {
    const snapshot = gather(key, { caches: means.caches, index, prober: means.prober });
    if (snapshot === undefined) return { kind: 'done' };
    const deleting = snapshot.bank.metadata.deletionTimestamp !== undefined;
    if (deleting && snapshot.bank.metadata.finalizers?.includes(FINALIZER) !== true) return { kind: 'done' };
    const pass: Pass = { snapshot, verdicts: openingVerdicts(), bank: snapshot.bank };
    const result = await runSteps(deleting ? FAREWELL : UPKEEP, pass, means, deleting);
    // A Bank that has just been let go has no status any more.
    const isNews = (!deleting || result.kind === 'error') && (await conclude(pass, means, events, deleting));
    if (result.kind === 'error') {
      // The same failure on every try is said once, as in the status.
      logger[isNews ? 'warn' : 'debug']({ bank: key, reason: messageOf(result.error) }, 'pass failed');
    }
    return outcomeOf(result, means);
  };
}

/** Runs the steps in order. On the way up an error doesn't keep later steps from repairing; on the way down it does. */
async function runSteps(steps: readonly Step[], pass: Pass, means: Means, stopAtError: boolean): Promise<StepResult> {
  let worst: StepResult = { kind: 'done' };
  for (const step of steps) {
    let result: StepResult;
    try {
      result = await step(pass, means);
    } catch (error) {
      // A step that says nothing about its own failure: the first condition still waiting tells of it.
      noteUnforeseen(pass, error);
      return { kind: 'error', error };
    }
    if (result.kind === 'stalled') return result;
    if (result.kind === 'error') {
      if (stopAtError) return result;
      worst = result;
    } else if (result.kind === 'requeueAfter' && worst.kind === 'done') worst = result;
  }
  return worst;
}

function noteUnforeseen(pass: Pass, error: unknown): void {
  const type = BANK_CONDITIONS.find((name) => name !== 'Ready' && pass.verdicts[name].status === 'Unknown');
  if (type === undefined || type === 'Ready') return;
  pass.verdicts[type] = fails('StepFailed', `${messageOf(error)}. The operator tries again by itself.`);
}

/** Writes the status and tells of a transition; says whether anything of that was new. */
async function conclude(pass: Pass, means: Means, events: EventRecorder, deleting: boolean): Promise<boolean> {
  const { bank } = pass;
  const ready = summarize(pass.verdicts, urlOf(pass, means));
  try {
    const wanted = statusOf(pass, means, ready, deleting);
    if (pass.answerIsNear === true && saysStarting(bank.status) && saysStarting(wanted)) return false;
    const written = await writeStatus(means.transport, means.caches.banks, bankPath(bank), bank, wanted);
    if (written === 'unchanged') return false;
  } catch (error) {
    // Deleted meanwhile, or another object of the same name: the watch brings what is to be done.
    if (isApiError(error, 'not_found', 'conflict')) return true;
    throw error;
  }
  const transition = transitionOf(
    bank.status?.conditions?.find(({ type }) => type === 'Ready'),
    ready,
  );
  if (transition !== undefined) await events.record('Bank', bank.metadata, transition);
  return true;
}

/** One `Starting` is as good as another while the answer is a moment away; the write is saved for that. */
function saysStarting(status: BankStatus | undefined): boolean {
  return status?.phase === 'Starting';
}

function statusOf(pass: Pass, means: Means, ready: Verdict, deleting: boolean): BankStatus {
  const { bank, bankClass, verdicts, snapshot } = pass;
  const generation = bank.metadata.generation ?? 1;
  const suspended = bank.spec.suspend;
  return {
    observedGeneration: generation,
    phase: phaseOf({ deleting, suspended }, verdicts, ready),
    conditions: toConditions(
      bank.status?.conditions ?? [],
      BANK_CONDITIONS.map((type) => [type, type === 'Ready' ? ready : verdicts[type]] as const),
      generation,
      new Date(means.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
    ),
    // A bank that is no longer accepted keeps saying what it runs as: nothing of it was taken away.
    ...(bankClass === undefined
      ? keptOf(bank.status)
      : {
          id: snapshot.id,
          url: urlOf(pass, means),
          className: bankClass.metadata.name,
          version: versionOf(serverImage(bankClass.spec, means.settings)),
          databaseRole: databaseRole(snapshot.id, 'a'),
          keyGeneration: KEY_GENERATION,
        }),
  };
}

function keptOf(status: BankStatus | undefined): Partial<BankStatus> {
  const { observedGeneration: _, phase: __, conditions: ___, ...kept } = status ?? {};
  return kept;
}

function urlOf(pass: Pass, means: Means): string {
  return bankUrl(means.settings.FRONT_DOOR_URL, pass.snapshot.id);
}

/** What people are told by an Event: that a bank became ready, and that it is not for another reason than before. */
export function transitionOf(
  before: { status: string; reason: string } | undefined,
  ready: Verdict,
): { type: 'Normal' | 'Warning'; reason: string; note: string } | undefined {
  const { reason, message: note } = ready;
  if (ready.status === 'True') return before?.status === 'True' ? undefined : { type: 'Normal', reason, note };
  const wasReady = before?.status === 'True';
  if (!wasReady && (ready.inProgress === true || before?.reason === reason)) return undefined;
  return { type: reason === 'Suspended' ? 'Normal' : 'Warning', reason, note };
}

function outcomeOf(result: StepResult, means: Means): Outcome {
  switch (result.kind) {
    case 'error':
      return { kind: 'retry', ...(result.retryWithin === undefined ? {} : { atMost: result.retryWithin }) };
    case 'requeueAfter':
      return result;
    case 'stalled':
    case 'done':
      return { kind: 'requeueAfter', ms: Math.round(RESYNC_MS * (1 + 0.2 * means.clock.random())) };
  }
}
