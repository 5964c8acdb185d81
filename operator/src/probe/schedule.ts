/**
 * Why a bank is to be asked, most urgent first.
 *
 * | lane      | who waits there                                               | an attempt may be cut short |
 * |-----------|---------------------------------------------------------------|-----------------------------|
 * | new       | not asked yet since its pods last changed                     | yes                         |
 * | again     | asked a moment ago, and given a little more time to come up   | yes                         |
 * | recheck   | answered when it was last asked                               | yes                         |
 * | undecided | was cut short: nobody knows yet                               | no                          |
 * | failing   | was given all its time, and did not answer                    | no                          |
 */
export const LANES = ['new', 'again', 'recheck', 'undecided', 'failing'] as const;
export type Lane = (typeof LANES)[number];

const QUICK: readonly Lane[] = ['new', 'again', 'recheck'];
const PATIENT: readonly Lane[] = ['undecided', 'failing'];

/** Attempts at a time of the quick lanes: as many as a busy machine carries, and more while they only wait. */
const QUICK_ROOM = 32;
const QUICK_ROOM_MAX = 400;
const ROOM_STEP = 8;
/** Of the patient lanes: their share is bounded, however many fail. */
const PATIENT_ROOM = 96;
/** For so long an attempt is left alone though others wait: until the front door answers, and from then on until the bank does. */
const ROUTE_MS = 300;
const ANSWER_MS = 250;
/** A front door that is slow itself slows down everybody: then the bank gets so many times what the front door took. */
const ANSWER_SHARE = 4;

interface Attempt {
  readonly lane: Lane;
  readonly startedAt: number;
  cuttableAt: number;
}

/** What shall happen now. */
export interface Orders {
  readonly start: readonly { readonly uid: string; readonly lane: Lane }[];
  /** Attempts to abort; the schedule counts them as ended, and their banks wait in the lane `undecided`. */
  readonly cut: readonly string[];
  /** Milliseconds until the next look, if nothing ends before; undefined: none is needed. */
  readonly wakeIn: number | undefined;
}

/**
 * Which bank is asked when; pure, and knows nothing of what asking is.
 *
 * A bank that hangs holds a place only until another one needs it: while banks wait in the quick lanes, attempts there that have had a
 * short time are cut, oldest first, and room is made for more, as they do nothing but wait. What is cut is asked anew in the
 * patient lanes, where it has all its time. So behind two thousand hanging banks one that answers is asked within two seconds, and none is
 * judged before it had its time.
 *
 * | where a bank is | `add`                          | `next`              | `ended`                      |
 * |-----------------|--------------------------------|---------------------|------------------------------|
 * | nowhere         | waits in the lane              |                     |                              |
 * | waiting         | moves to a more urgent lane    | is asked            |                              |
 * | being asked     | waits again once that ended    | may be cut: waits   | nowhere, or waiting if added |
 */
export class Schedule {
  private readonly waiting: Record<Lane, Set<string>> = {
    new: new Set(),
    again: new Set(),
    recheck: new Set(),
    undecided: new Set(),
    failing: new Set(),
  };
  private readonly laneOf = new Map<string, Lane>();
  /** In the order of their start. */
  private readonly quick = new Map<string, Attempt>();
  private readonly patient = new Map<string, Attempt>();
  private readonly again = new Map<string, Lane>();
  private room = QUICK_ROOM;

  /** Attempts under way. */
  get running(): number {
    return this.quick.size + this.patient.size;
  }

  add(uid: string, lane: Lane): void {
    if (this.quick.has(uid) || this.patient.has(uid)) {
      this.again.set(uid, moreUrgent(this.again.get(uid) ?? lane, lane));
      return;
    }
    const before = this.laneOf.get(uid);
    const after = moreUrgent(before ?? lane, lane);
    if (before === after) return;
    if (before !== undefined) this.waiting[before].delete(uid);
    this.waiting[after].add(uid);
    this.laneOf.set(uid, after);
  }

  remove(uid: string): void {
    const lane = this.laneOf.get(uid);
    if (lane !== undefined) this.waiting[lane].delete(uid);
    this.laneOf.delete(uid);
    this.again.delete(uid);
    this.quick.delete(uid);
    this.patient.delete(uid);
  }

  /** The front door answered for the bank; from here on it is the bank itself that is waited for. */
  routed(uid: string, now: number): void {
    const attempt = this.quick.get(uid);
    if (attempt === undefined) return;
    attempt.cuttableAt = now + Math.max(ANSWER_MS, ANSWER_SHARE * (now - attempt.startedAt));
  }

  /** @param answered the bank did, well or badly; not: nothing came in time */
  ended(uid: string, answered: boolean): void {
    const wasQuick = this.quick.delete(uid);
    this.patient.delete(uid);
    if (wasQuick && answered) this.room = Math.max(QUICK_ROOM, this.room - 1);
    const lane = this.again.get(uid);
    if (lane === undefined) return;
    this.again.delete(uid);
    this.add(uid, lane);
  }

  next(now: number): Orders {
    const start: { uid: string; lane: Lane }[] = [];
    const cut: string[] = [];
    let wakeIn: number | undefined;
    for (let next = this.first(QUICK); next !== undefined; next = this.first(QUICK)) {
      if (this.quick.size >= this.room) {
        const oldest = this.oldest();
        if (oldest.cuttableAt > now) {
          wakeIn = oldest.cuttableAt - now;
          break;
        }
        this.cut(oldest.uid);
        cut.push(oldest.uid);
        this.room = Math.min(QUICK_ROOM_MAX, this.room + ROOM_STEP);
      }
      this.begin(next, this.quick, now);
      start.push(next);
    }
    for (let next = this.first(PATIENT); next !== undefined; next = this.first(PATIENT)) {
      if (this.patient.size >= PATIENT_ROOM) break;
      this.begin(next, this.patient, now);
      start.push(next);
    }
    return { start, cut, wakeIn };
  }

  private begin({ uid, lane }: { uid: string; lane: Lane }, running: Map<string, Attempt>, now: number): void {
    this.waiting[lane].delete(uid);
    this.laneOf.delete(uid);
    running.set(uid, { lane, startedAt: now, cuttableAt: now + ROUTE_MS });
  }

  private cut(uid: string): void {
    this.quick.delete(uid);
    const lane = this.again.get(uid);
    this.again.delete(uid);
    this.add(uid, moreUrgent(lane ?? 'undecided', 'undecided'));
  }

  /** The one that may be cut first. */
  private oldest(): { uid: string; cuttableAt: number } {
    let oldest = { uid: '', cuttableAt: Number.POSITIVE_INFINITY };
    for (const [uid, { cuttableAt }] of this.quick) if (cuttableAt < oldest.cuttableAt) oldest = { uid, cuttableAt };
    return oldest;
  }

  private first(lanes: readonly Lane[]): { uid: string; lane: Lane } | undefined {
    for (const lane of lanes) for (const uid of this.waiting[lane]) return { uid, lane };
    return undefined;
  }
}

function moreUrgent(a: Lane, b: Lane): Lane {
  return LANES.indexOf(a) <= LANES.indexOf(b) ? a : b;
}
