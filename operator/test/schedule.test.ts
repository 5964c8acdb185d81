/** Who is asked when (K9): the schedule alone, and the prober with it, among banks that hang. */
import { createLogger } from '@bankhouse/core';
import { describe, expect, test } from 'vitest';
import { createProber, type FrontDoor, ProbeError } from '../src/probe/index.ts';
import { type Lane, Schedule } from '../src/probe/schedule.ts';
import { StepClock, settle } from './step-clock.ts';

const many = (count: number, name = 'hang') => Array.from({ length: count }, (_, index) => `${name}-${index}`);
const started = (schedule: Schedule, now: number) => schedule.next(now).start.map(({ uid }) => uid);

describe('the schedule', () => {
  test('asks in the order of the lanes, and within a lane who came first', () => {
    const schedule = new Schedule();
    for (const lane of ['failing', 'undecided', 'recheck', 'again', 'new'] as const satisfies Lane[]) {
      schedule.add(`${lane}-1`, lane);
      schedule.add(`${lane}-2`, lane);
    }
    expect(started(schedule, 0)).toEqual(
      ['new', 'again', 'recheck', 'undecided', 'failing'].flatMap((lane) => [`${lane}-1`, `${lane}-2`]),
    );
  });

  test('moves a bank that waits to a more urgent lane, never to a less urgent one', () => {
    const schedule = new Schedule();
    for (const uid of many(32)) schedule.add(uid, 'new');
    schedule.next(0);
    schedule.add('a', 'recheck');
    schedule.add('b', 'recheck');
    schedule.add('b', 'new');
    schedule.add('b', 'failing');
    schedule.ended('hang-0', true);
    expect(started(schedule, 1)).toEqual(['b']);
  });

  test('asks a bank that is added while it is asked once more, once that is over', () => {
    const schedule = new Schedule();
    schedule.add('a', 'recheck');
    schedule.next(0);
    schedule.add('a', 'failing');
    schedule.add('a', 'new');
    expect(started(schedule, 1)).toEqual([]);
    schedule.ended('a', true);
    expect(schedule.next(2).start).toEqual([{ uid: 'a', lane: 'new' }]);
  });

  test('leaves attempts alone as long as nobody waits for their place', () => {
    const schedule = new Schedule();
    for (const uid of many(32)) schedule.add(uid, 'new');
    schedule.next(0);
    expect(schedule.next(60_000)).toEqual({ start: [], cut: [], wakeIn: undefined });
  });

  test('gives an attempt 300 ms until the front door answers when others wait, and says when to look again', () => {
    const schedule = new Schedule();
    for (const uid of many(33)) schedule.add(uid, 'new');
    expect(schedule.next(0)).toMatchObject({ cut: [], wakeIn: 300 });
    expect(schedule.next(299)).toEqual({ start: [], cut: [], wakeIn: 1 });
    const { start, cut } = schedule.next(300);
    expect(cut).toEqual(['hang-0']);
    // What was cut waits where it will have all its time, and there is room for it.
    expect(start).toEqual([
      { uid: 'hang-32', lane: 'new' },
      { uid: 'hang-0', lane: 'undecided' },
    ]);
  });

  test.each([
    { sentence: 'a quick front door', route: 10, cut: 260 },
    { sentence: 'a front door that is slow itself', route: 200, cut: 1000 },
  ])('gives an attempt longer behind $sentence', ({ route, cut }) => {
    const schedule = new Schedule();
    for (const uid of many(33)) schedule.add(uid, 'new');
    schedule.next(0);
    for (const uid of many(32)) schedule.routed(uid, route);
    expect(schedule.next(cut - 1).cut).toEqual([]);
    expect(schedule.next(cut).cut).toEqual(['hang-0']);
  });

  test('never cuts an attempt of the patient lanes, and never has more than 96 of them', () => {
    const schedule = new Schedule();
    for (const uid of many(500)) schedule.add(uid, 'failing');
    expect(schedule.next(0).start).toHaveLength(96);
    for (const uid of many(40, 'new')) schedule.add(uid, 'new');
    const { start, cut } = schedule.next(60_000);
    expect({ start: start.length, cut }).toEqual({ start: 32, cut: [] });
  });

  test('keeps nothing of a bank that is gone', () => {
    const schedule = new Schedule();
    for (const lane of ['new', 'failing'] as const) {
      for (const uid of many(200, lane)) schedule.add(uid, lane);
    }
    schedule.next(0);
    for (const lane of ['new', 'failing'] as const) for (const uid of many(200, lane)) schedule.remove(uid);
    expect(schedule.running).toBe(0);
    expect(schedule.next(1000)).toEqual({ start: [], cut: [], wakeIn: undefined });
  });
});

/** A crowd in front of a prober, whose clock the test moves; `answers` decides how each bank does. */
function aCrowd(answers: (id: string) => 'answers' | 'hangs' | 'hangs at the route' | 'refuses') {
  const clock = new StepClock();
  const firstAsked = new Map<string, number>();
  const longest = new Map<string, number>();
  const told = new Map<string, number>();
  let atOnce = 0;
  let most = 0;
  const hang = (id: string, signal: AbortSignal) => {
    const begun = clock.time;
    return new Promise<void>((_, reject) => {
      signal.addEventListener('abort', () => {
        longest.set(id, Math.max(longest.get(id) ?? 0, clock.time - begun));
        atOnce -= 1;
        reject(signal.reason);
      });
      atOnce += 1;
      most = Math.max(most, atOnce);
    });
  };
  const frontDoor: FrontDoor = {
    async checkRoute(id, signal) {
      if (!firstAsked.has(id)) firstAsked.set(id, clock.time);
      if (answers(id) === 'hangs at the route') await hang(id, signal);
    },
    async checkHandshake(id, signal) {
      if (answers(id) === 'hangs') await hang(id, signal);
      if (answers(id) === 'refuses') throw new ProbeError('handshake_failed', { kind: 'refused', status: 503 }, '503');
      return undefined;
    },
    forget: () => {},
    close: async () => {},
  };
  const prober = createProber({
    frontDoor,
    clock,
    logger: createLogger({ component: 'test', level: 'fatal' }),
    verifyEvery: 600_000,
    onChange: (key) => told.set(key, clock.time),
  });
  return {
    clock,
    prober,
    firstAsked,
    longest,
    told,
    most: () => most,
    want(id: string, change: { fingerprint?: string; wasFailing?: boolean } = {}) {
      prober.want({ uid: id, key: id, id, fingerprint: '1', ...change });
    },
    async until(time: number) {
      await settle();
      while ((clock.next ?? Number.POSITIVE_INFINITY) + clock.time <= time) await clock.step();
      clock.time = time;
    },
    status: (id: string) => prober.get(id)?.verified.status,
  };
}

describe('a bank that answers, among banks that hang (K9)', () => {
  const rows = [200, 2000].flatMap((count) =>
    (['hangs', 'hangs at the route'] as const).flatMap((how) =>
      (['before', 'amid', 'behind'] as const).map((place) => ({ count, how, place })),
    ),
  );
  test.each(rows)('$place $count that $how is asked within two seconds, and never called failing', async (row) => {
    const { count, how, place } = row;
    const crowd = aCrowd((id) => (id === 'healthy' ? 'answers' : how));
    const ids = many(count);
    ids.splice({ before: 0, amid: count / 2, behind: count }[place], 0, 'healthy');
    for (const id of ids) crowd.want(id);
    await crowd.until(2_000);
    expect(crowd.firstAsked.get('healthy')).toBeLessThan(2_000);
    expect(crowd.status('healthy')).toBe('True');
    expect(crowd.most()).toBeLessThanOrEqual(496);
    await crowd.prober.stop();
  });

  test('is asked at once when it comes up later, and when its pods change', async () => {
    let isUp = false;
    const crowd = aCrowd((id) => (id === 'healthy' && isUp ? 'answers' : 'hangs'));
    for (const id of many(2000)) crowd.want(id);
    await crowd.until(30_000);
    crowd.want('other');
    crowd.want('healthy');
    await crowd.until(31_000);
    isUp = true;
    crowd.want('healthy', { fingerprint: '2' });
    await crowd.until(37_500);
    expect(crowd.status('healthy')).toBe('True');
    await crowd.prober.stop();
  });

  test('is asked again in time, though thousands have begun to hang since', async () => {
    const crowd = aCrowd((id) => (id === 'healthy' ? 'answers' : 'hangs'));
    crowd.want('healthy');
    await crowd.until(599_000);
    crowd.firstAsked.clear();
    for (const id of many(2000)) crowd.want(id);
    await crowd.until(604_000);
    expect(crowd.firstAsked.get('healthy')).toBeLessThan(602_500);
    expect(crowd.told.get('healthy')).toBe(0);
    await crowd.prober.stop();
  });

  test('is asked before those that failed when they were last heard of', async () => {
    const crowd = aCrowd((id) => (id === 'healthy' ? 'answers' : 'hangs'));
    for (const id of many(2000)) crowd.want(id, { wasFailing: true });
    crowd.want('healthy');
    await crowd.until(1);
    expect(crowd.status('healthy')).toBe('True');
    expect(crowd.most()).toBe(96);
    await crowd.prober.stop();
  });
});

describe('a bank that hangs', () => {
  test('is told of only after an attempt with all its time, and each of two hundred is, within half a minute', async () => {
    const crowd = aCrowd(() => 'hangs');
    for (const id of many(200)) crowd.want(id);
    await crowd.until(30_000);
    expect(crowd.told.size).toBe(200);
    for (const id of many(200)) expect(crowd.longest.get(id)).toBe(6_000);
    const verdict = crowd.prober.get('hang-7');
    expect(verdict?.outcome).toEqual({ kind: 'timedOut' });
    expect(verdict?.verified.message).toContain('no answer within 6 seconds');
    await crowd.prober.stop();
  });

  test('that comes to, is heard though thousands hang', async () => {
    let isUp = false;
    const crowd = aCrowd((id) => (id === 'hang-500' && isUp ? 'answers' : 'hangs'));
    for (const id of many(1000)) crowd.want(id);
    await crowd.until(90_000);
    isUp = true;
    await crowd.until(170_000);
    expect(crowd.status('hang-500')).toBe('True');
    await crowd.prober.stop();
  });

  test('is let go of when it is forgotten, and when the prober stops', async () => {
    const crowd = aCrowd(() => 'hangs');
    for (const id of many(50)) crowd.want(id);
    await settle();
    for (const id of many(25)) crowd.prober.forget(id);
    await settle();
    await crowd.prober.stop();
    await settle();
    expect(crowd.longest.size).toBe(50);
    expect(crowd.told.size).toBe(0);
  });
});

test('a bank that waited for long before it was first asked is not called failing on its first try (K9)', async () => {
  let isUp = false;
  const crowd = aCrowd((id) => (id !== 'late' ? 'hangs' : isUp ? 'answers' : 'refuses'));
  for (const id of many(500)) crowd.want(id, { wasFailing: true });
  crowd.want('late', { wasFailing: true });
  while (!crowd.firstAsked.has('late')) await crowd.clock.step();
  expect(crowd.clock.time).toBeGreaterThan(20_000);
  await crowd.until(crowd.clock.time + 1_000);
  expect(crowd.told.has('late')).toBe(false);
  isUp = true;
  await crowd.until(crowd.clock.time + 1_000);
  expect(crowd.status('late')).toBe('True');
  await crowd.prober.stop();
});
