import { type Logger, messageOf } from '@bankhouse/core';
import { type Clock, exponential } from '@bankhouse/kube';
import type { FrontDoor } from './front-door.ts';
import { answered, handshakeFailed, isSameResult, type ProbeResult, routeFailed } from './result.ts';
import { type Lane, Schedule } from './schedule.ts';

/** Which bank to probe; another `fingerprint` (pods, image) is a reason to look again at once. */
export interface ProbeTarget {
  uid: string;
  /** The Bank's key, for `onChange`. */
  key: string;
  id: string;
  fingerprint: string;
  /** It failed when it was last heard of, before this process: then it waits behind those of which that is not known. */
  wasFailing?: boolean;
}

/**
 * Probes banks beside the reconcile loop, so that a slow front door never holds up a worker: quickly until a bank answers,
 * then now and then. A bank that answered counts as failing only after two failures in a row. Who is asked when, and how banks that hang
 * are kept from holding up the others (K9): see `Schedule`.
 */
export interface Prober {
  /** The last result; none before the bank answered, or had its time to. */
  get(uid: string): ProbeResult | undefined;
  want(target: ProbeTarget): void;
  forget(uid: string): void;
  stop(): Promise<void>;
}

/** A little longer than the gateway holds a call for a pod to come up, so that its word is heard. */
const ATTEMPT_MS = 6_000;
/** A new bank takes about a second to come up: for so long it is asked so densely, and not called failing. */
const PATIENCE_MS = 5_000;
const QUICK_MS = 75;
const SLOW_FIRST_MS = 250;
const SLOW_MAX_MS = 10_000;
const FAILURES_BEFORE_LOSS = 2;

interface Probed {
  target: ProbeTarget;
  result: ProbeResult | undefined;
  /** Since when it has been asked under this fingerprint, not counting attempts that were cut short; undefined: not yet. */
  askedSince: number | undefined;
  /** In a row. */
  failures: number;
  /** Of these, those after the bank's time to come up. */
  lateFailures: number;
  attempt: Attempt | undefined;
  /** Takes back the timer for when it is asked next. */
  cancelNext: (() => void) | undefined;
}

interface Attempt {
  readonly startedAt: number;
  readonly fingerprint: string;
  readonly ending: AbortController;
}

export interface ProberOptions {
  frontDoor: FrontDoor;
  clock: Clock;
  logger: Logger;
  /** How often a bank that answers is asked again, in milliseconds. */
  verifyEvery: number;
  /** The result for this Bank is another one than before. */
  onChange: (key: string) => void;
}

export function createProber(options: ProberOptions): Prober {
  return new ScheduledProber(options);
}

class ScheduledProber implements Prober {
  private readonly options: ProberOptions;
  private readonly schedule = new Schedule();
  private readonly banks = new Map<string, Probed>();
  private readonly underWay = new Set<Promise<void>>();
  private cancelWake: (() => void) | undefined;
  private isStopped = false;

  constructor(options: ProberOptions) {
    this.options = options;
  }

  get(uid: string): ProbeResult | undefined {
    return this.banks.get(uid)?.result;
  }

  want(target: ProbeTarget): void {
    const { uid, fingerprint, wasFailing } = target;
    const fresh = { target, askedSince: undefined, failures: 0, lateFailures: 0 };
    const known = this.banks.get(uid);
    if (known === undefined) {
      this.banks.set(uid, { ...fresh, result: undefined, attempt: undefined, cancelNext: undefined });
      this.ask(uid, wasFailing === true ? 'undecided' : 'new');
    } else if (known.target.fingerprint !== fingerprint) {
      Object.assign(known, fresh);
      this.ask(uid, 'new');
    }
  }

  forget(uid: string): void {
    const bank = this.banks.get(uid);
    if (bank === undefined) return;
    this.banks.delete(uid);
    this.schedule.remove(uid);
    bank.cancelNext?.();
    bank.attempt?.ending.abort();
    this.options.frontDoor.forget(bank.target.id);
    this.look();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.cancelWake?.();
    for (const bank of this.banks.values()) {
      bank.cancelNext?.();
      bank.attempt?.ending.abort();
    }
    await Promise.all(this.underWay);
  }

  private ask(uid: string, lane: Lane): void {
    const bank = this.banks.get(uid);
    if (bank === undefined) return;
    bank.cancelNext?.();
    bank.cancelNext = undefined;
    this.schedule.add(uid, lane);
    this.look();
  }

  private askLater(bank: Probed, ms: number, lane: Lane): void {
    bank.cancelNext?.();
    bank.cancelNext = this.options.clock.after(ms, () => this.ask(bank.target.uid, lane));
  }

  /** Carries out what the schedule says for now. */
  private look(): void {
    if (this.isStopped) return;
    const { clock } = this.options;
    this.cancelWake?.();
    const { start, cut, wakeIn } = this.schedule.next(clock.now());
    this.cancelWake = wakeIn === undefined ? undefined : clock.after(wakeIn, () => this.look());
    for (const uid of cut) {
      const bank = this.banks.get(uid);
      bank?.attempt?.ending.abort();
      // It is no failure to have been given too little time; `start` may hold the bank's next attempt already.
      if (bank !== undefined)
        Object.assign(bank, { attempt: undefined, ...(bank.failures === 0 ? { askedSince: undefined } : {}) });
    }
    for (const { uid } of start) {
      const bank = this.banks.get(uid);
      if (bank === undefined) continue;
      const asked = this.attempt(bank).catch((error: unknown) => {
        this.options.logger.error({ uid, reason: messageOf(error) }, 'probe broke');
      });
      this.underWay.add(asked);
      void asked.finally(() => this.underWay.delete(asked));
    }
  }

  /** One attempt, until it ends, is over its limit, is cut or not wanted any more. */
  private async attempt(bank: Probed): Promise<void> {
    const { clock } = this.options;
    const { uid, fingerprint } = bank.target;
    const attempt: Attempt = { startedAt: clock.now(), fingerprint, ending: new AbortController() };
    bank.attempt = attempt;
    bank.askedSince ??= attempt.startedAt;
    let isOver = false;
    const cancelLimit = clock.after(ATTEMPT_MS, () => {
      isOver = true;
      attempt.ending.abort();
    });
    const found = await this.probe(bank, attempt, () => (isOver ? ATTEMPT_MS : undefined));
    cancelLimit();
    if (this.isStopped || bank.attempt !== attempt || this.banks.get(uid) !== bank) return;
    bank.attempt = undefined;
    this.schedule.ended(uid, !isOver);
    this.take(bank, attempt, found);
    this.look();
  }

  /** @param limit what the attempt was given, once that is over */
  private async probe(bank: Probed, attempt: Attempt, limit: () => number | undefined): Promise<ProbeResult> {
    const { frontDoor, clock } = this.options;
    const { id, uid } = bank.target;
    const { signal } = attempt.ending;
    try {
      await untilAborted(frontDoor.checkRoute(id, signal), signal);
    } catch (error) {
      return routeFailed(error, limit());
    }
    if (bank.attempt === attempt) this.schedule.routed(uid, clock.now());
    try {
      return answered(await untilAborted(frontDoor.checkHandshake(id, signal), signal));
    } catch (error) {
      return handshakeFailed(error, limit());
    }
  }

  /** Draws the conclusion of an attempt that had all its time. */
  private take(bank: Probed, attempt: Attempt, found: ProbeResult): void {
    const { clock, verifyEvery, onChange } = this.options;
    const verified = found.verified.status === 'True';
    // What is asked about changed while it was asked: the schedule has the bank already, and a failure says nothing any more.
    const isOutdated = bank.target.fingerprint !== attempt.fingerprint;
    if (isOutdated && !verified) return;
    const isNew = clock.now() - (bank.askedSince ?? attempt.startedAt) < PATIENCE_MS;
    bank.failures = verified ? 0 : bank.failures + 1;
    bank.lateFailures = verified || isNew ? 0 : bank.lateFailures + 1;
    if (!verified && isExcused(bank, isNew)) {
      this.askLater(bank, QUICK_MS, 'again');
      return;
    }
    if (bank.result === undefined || !isSameResult(bank.result, found)) {
      if (isRestored(bank.result, found)) this.askAllWithoutRoute();
      bank.result = found;
      onChange(bank.target.key);
    }
    if (isOutdated) return;
    if (verified) this.askLater(bank, spread(verifyEvery, clock), 'recheck');
    else this.askLater(bank, pauseAfter(bank.lateFailures), 'failing');
  }

  /** The front door is one for all: when it leads to one bank again, the others needn't wait for their turn. */
  private askAllWithoutRoute(): void {
    for (const [uid, { result }] of this.banks) if (result?.route.status === 'False') this.ask(uid, 'undecided');
  }
}

/** Rejects at once when the signal aborts, whether or not the work heeds it. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
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
