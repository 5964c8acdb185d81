import { type Logger, messageOf } from '@bankhouse/core';
import { type Clock, exponential, startWorkers, type Workers, WorkQueue } from '@bankhouse/kube';
import { fails, holds, type Verdict, waits } from '../decide/verdict.ts';
import type { FrontDoor } from './front-door.ts';

/** What a bank's front door was last seen to do. */
export interface ProbeResult {
  route: Verdict;
  verified: Verdict;
  /** The bank's pod is there, and Postgres refuses its sign-in. */
  databaseRefused?: boolean;
}

/** Which bank to probe; another `fingerprint` (pods, image) is a reason to look again at once. */
export interface ProbeTarget {
  uid: string;
  /** The Bank's key, for `onChange`. */
  key: string;
  id: string;
  fingerprint: string;
}

/**
 * Probes banks beside the reconcile loop, so that a slow front door never holds up a worker: quickly until a bank answers,
 * then now and then. A bank that answered counts as failing only after two failures in a row.
 */
export interface Prober {
  /** The last result; none before the bank answered, or had its time to. */
  get(uid: string): ProbeResult | undefined;
  want(target: ProbeTarget): void;
  forget(uid: string): void;
  stop(): Promise<void>;
}

/** Mostly waiting: the gateway holds a request until a pod is there. */
const WORKERS = 32;
const ATTEMPT_MS = 5_000;
/** A new bank takes about a second to come up: for so long it is asked so densely, and not called failing. */
const PATIENCE_MS = 5_000;
const QUICK_MS = 75;
const SLOW_FIRST_MS = 250;
const SLOW_MAX_MS = 10_000;
const FAILURES_BEFORE_LOSS = 2;

interface Probed {
  target: ProbeTarget;
  result: ProbeResult | undefined;
  /** Since when it has been asked under this fingerprint. */
  askedSince: number;
  /** In a row. */
  failures: number;
  /** Of these, those after the bank's time to come up. */
  lateFailures: number;
}

export function createProber(options: {
  frontDoor: FrontDoor;
  clock: Clock;
  logger: Logger;
  /** How often a bank that answers is asked again, in milliseconds. */
  verifyEvery: number;
  /** The result for this Bank is another one than before. */
  onChange: (key: string) => void;
}): Prober {
  const { frontDoor, clock, verifyEvery } = options;
  const queue = new WorkQueue(clock);
  const banks = new Map<string, Probed>();
  const stopping = new AbortController();
  const workers: Workers = startWorkers({
    queue,
    count: WORKERS,
    clock,
    onError: (uid, error) => options.logger.error({ uid, reason: messageOf(error) }, 'probe broke'),
    async work(uid) {
      const bank = banks.get(uid);
      if (bank === undefined) return { kind: 'done' };
      const { fingerprint } = bank.target;
      const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(ATTEMPT_MS)]);
      const found = await probe(frontDoor, bank.target.id, signal);
      if (banks.get(uid) !== bank || stopping.signal.aborted) return { kind: 'done' };
      const verified = found.verified.status === 'True';
      const isNew = clock.now() - bank.askedSince < PATIENCE_MS;
      bank.failures = verified ? 0 : bank.failures + 1;
      bank.lateFailures = verified || isNew ? 0 : bank.lateFailures + 1;
      if (!verified && isExcused(bank, isNew)) return { kind: 'requeueAfter', ms: QUICK_MS };
      if (bank.result === undefined || !sameResult(bank.result, found)) {
        if (isRestored(bank.result, found)) askAllWithoutRoute();
        bank.result = found;
        options.onChange(bank.target.key);
      }
      if (bank.target.fingerprint !== fingerprint) return { kind: 'requeueAfter', ms: 0 };
      return { kind: 'requeueAfter', ms: verified ? spread(verifyEvery, clock) : pauseAfter(bank.lateFailures) };
    },
  });

  /** The front door is one for all: when it leads to one bank again, the others needn't wait for their turn. */
  function askAllWithoutRoute(): void {
    for (const [uid, { result }] of banks) if (result?.route.status === 'False') queue.add(uid, 'low');
  }

  return {
    get: (uid) => banks.get(uid)?.result,
    want(target) {
      const known = banks.get(target.uid);
      const fresh = { target, askedSince: clock.now(), failures: 0, lateFailures: 0 };
      if (known === undefined) banks.set(target.uid, { ...fresh, result: undefined });
      else if (known.target.fingerprint === target.fingerprint) return;
      else Object.assign(known, fresh);
      queue.add(target.uid);
    },
    forget(uid) {
      const bank = banks.get(uid);
      if (bank === undefined) return;
      banks.delete(uid);
      frontDoor.forget(bank.target.id);
    },
    async stop() {
      stopping.abort();
      await workers.stop(ATTEMPT_MS);
    },
  };
}

async function probe(frontDoor: FrontDoor, id: string, signal: AbortSignal): Promise<ProbeResult> {
  try {
    await frontDoor.checkRoute(id, signal);
  } catch (error) {
    return {
      route: fails(
        'FrontDoorFails',
        `The front door does not answer for the bank: ${messageOf(error)}. Look at the gateway and the ingress.`,
      ),
      verified: waits('No MCP handshake is possible before the front door answers for the bank.'),
    };
  }
  const route = holds('Answers', "The front door serves the bank's metadata and its challenge.");
  try {
    await frontDoor.checkHandshake(id, signal);
    return { route, verified: holds('Handshake', 'An MCP handshake through the front door succeeded.') };
  } catch (error) {
    const message = `No MCP handshake through the front door succeeds: ${messageOf(error)}.`;
    return { route, verified: fails('HandshakeFailed', message) };
  }
}

/** Failures that are not told: of a bank that never answered and may still come up, and a single one of a bank that did. */
function isExcused({ result, failures }: Probed, isNew: boolean): boolean {
  if (result === undefined) return isNew;
  return result.verified.status === 'True' && failures < FAILURES_BEFORE_LOSS;
}

function isRestored(before: ProbeResult | undefined, found: ProbeResult): boolean {
  return before?.route.status === 'False' && found.route.status === 'True';
}

function pauseAfter(lateFailures: number): number {
  return lateFailures === 0 ? QUICK_MS : exponential(lateFailures - 1, SLOW_FIRST_MS, SLOW_MAX_MS);
}

/** Between 80 and 120 percent, so that banks made together are not asked together. */
function spread(ms: number, clock: Clock): number {
  return Math.round(ms * (0.8 + 0.4 * clock.random()));
}

function sameResult(a: ProbeResult, b: ProbeResult): boolean {
  return sameVerdict(a.route, b.route) && sameVerdict(a.verified, b.verified);
}

function sameVerdict(a: Verdict, b: Verdict): boolean {
  return a.status === b.status && a.reason === b.reason && a.message === b.message;
}
