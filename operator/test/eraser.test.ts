import { createLogger } from '@bankhouse/core';
import { describe, expect, test } from 'vitest';
import { createEraser } from '../src/erasing/index.ts';
import { StepClock, settle } from './step-clock.ts';

const logger = createLogger({ component: 'test', level: 'fatal' });

const OWN = `platform/bank_${'a'.repeat(24)}`;

const unused = (): never => {
  throw new Error('no database of its own here');
};

/** A registry of ids that are due; those in `broken` can't be erased, and those in `slow` not before they are told to. */
function setUp(ids: string[], broken: string[] = [], own: string[] = []) {
  const clock = new StepClock();
  const due = new Set(ids);
  const log: string[] = [];
  let underWay = 0;
  let slow: { promise: Promise<void> } | undefined;
  const eraser = createEraser({
    clock,
    logger,
    onForgotten: (id) => log.push(`free ${id}`),
    database: {
      due: async (_, limit) =>
        [...due]
          .slice(0, limit)
          .map((id) => ({ id, uid: `uid-${id}`, placement: own.includes(id) ? OWN : 'platform' })),
      // Nobody drops it.
      dropDatabase: async (_, __, receipt) => ({
        generation: null,
        problem: null,
        dropped: false,
        receipt: receipt ?? null,
      }),
      at: unused,
      on: () => undefined,
      leave: async () => {},
      erase: async (id, _, signal) => {
        underWay += 1;
        expect(underWay).toBe(1);
        log.push(`erase ${id}`);
        const stopped = new Promise<never>((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('stopped'))),
        );
        try {
          await Promise.race([slow?.promise, stopped]);
        } finally {
          underWay -= 1;
        }
        if (broken.includes(id)) throw new Error('no');
        return { rowsDeleted: 7, tables: {} };
      },
      forget: async (id, uid, { rowsDeleted }) => {
        log.push(`forget ${id} ${uid} ${rowsDeleted}`);
        due.delete(id);
      },
    },
  });
  return {
    clock,
    due,
    log,
    eraser,
    hold: () => {
      slow = Promise.withResolvers<void>();
    },
  };
}

describe('K6: erasing is a job of its own', () => {
  test('one id after the other, each forgotten with its receipt', async () => {
    const { log, eraser } = setUp(['a', 'b']);
    eraser.start();
    await settle();
    expect(log).toEqual(['erase a', 'forget a uid-a 7', 'free a', 'erase b', 'forget b uid-b 7', 'free b']);
    await eraser.stop();
  });

  test('what becomes due later is found by the minute, or at once when it is woken', async () => {
    const { clock, due, log, eraser } = setUp([]);
    eraser.start();
    await settle();
    due.add('later');
    await clock.step();
    expect(clock.time).toBe(60_000);
    expect(log).toContain('free later');
    due.add('now');
    eraser.wake();
    await settle();
    expect(log).toContain('free now');
    await eraser.stop();
  });

  test('thirty that fail for ever keep none of the others waiting', async () => {
    const broken = Array.from({ length: 30 }, (_, index) => `broken-${index}`);
    const { clock, log, eraser } = setUp([...broken, 'good'], broken);
    eraser.start();
    for (let minute = 0; minute < 3; minute += 1) await clock.step();
    await settle();
    expect(log).toContain('free good');
    expect(log.filter((line) => line === 'erase broken-0')).toHaveLength(1);
    await eraser.stop();
  });

  test('databases of their own that nobody drops keep the others waiting for ten seconds in all, and their ids', async () => {
    const stuck = Array.from({ length: 15 }, (_, index) => `stuck-${index}`);
    const { clock, log, eraser } = setUp([...stuck, 'good'], [], stuck);
    eraser.start();
    await settle();
    while (clock.time < 11_000) await clock.step();
    await settle();
    expect(log).toEqual(['erase good', 'forget good uid-good 7', 'free good']);
    await eraser.stop();
  });

  test('a stop breaks off what is under way', async () => {
    const { log, eraser, hold } = setUp(['a', 'b']);
    hold();
    eraser.start();
    await settle();
    await eraser.stop();
    expect(log).toEqual(['erase a']);
  });
});
