import { createLogger } from '@bankhouse/core';
import { describe, expect, test } from 'vitest';
import { createDatabaseGate, type Database, DatabaseError } from '../src/database/index.ts';
import { StepClock } from './step-clock.ts';

const logger = createLogger({ component: 'test', level: 'fatal' });

function setUp() {
  const clock = new StepClock();
  const calls = { state: 0, check: 0 };
  let failure: Error | undefined;
  const tried = (name: 'state' | 'check') => async () => {
    calls[name] += 1;
    if (failure !== undefined) throw failure;
    return undefined;
  };
  const woken: string[] = [];
  const gate = createDatabaseGate({ state: tried('state'), check: tried('check') } as unknown as Database, {
    clock,
    logger,
    onBack: (keys) => woken.push(...keys),
  });
  return {
    clock,
    calls,
    woken,
    gate,
    fail: (code?: 'unreachable' | 'busy') => {
      failure = code === undefined ? undefined : new DatabaseError(code, code);
    },
  };
}

describe('K8: a database that is away', () => {
  test('is asked by one alone, and whoever waits is woken once when it is back', async () => {
    const { clock, calls, woken, gate, fail } = setUp();
    fail('unreachable');
    for (const key of ['a', 'b']) {
      await expect(gate.state('x')).rejects.toMatchObject({ code: 'unreachable' });
      gate.wakeWhenBack(key);
    }
    gate.wakeWhenBack('a');
    while (clock.time < 60_000) await clock.step();
    expect(calls.state).toBe(1);
    expect(calls.check).toBeLessThan(60);
    expect(woken).toEqual([]);
    fail();
    await clock.step();
    expect(woken).toEqual(['a', 'b']);
    expect(gate.isAway).toBe(false);
    await gate.state('x');
    expect(clock.next).toBeUndefined();
  });

  test('is not away because one bank is busy', async () => {
    const { clock, gate, fail } = setUp();
    fail('busy');
    await expect(gate.state('x')).rejects.toMatchObject({ code: 'busy' });
    expect(gate.isAway).toBe(false);
    expect(clock.next).toBeUndefined();
  });

  test('wakes at once who comes when it is back already', () => {
    const { woken, gate } = setUp();
    gate.wakeWhenBack('a');
    expect(woken).toEqual(['a']);
  });

  test("one of a bank's own stalls who waits for it, and not the common one; while that is away it is not asked", async () => {
    const clock = new StepClock();
    const [woken, asked]: [string[], string[]] = [[], []];
    const away = { common: false, own: true };
    const look = (name: 'common' | 'own') => async () => {
      asked.push(name);
      if (away[name]) throw new DatabaseError('unreachable', name);
      return undefined;
    };
    const own = { state: look('own'), check: look('own'), close: async () => void asked.push('closed') };
    const common = { state: look('common'), check: look('common'), at: () => own };
    const gate = createDatabaseGate(common as unknown as Database, {
      clock,
      logger,
      onBack: (keys) => woken.push(...keys),
    });
    await expect(gate.at('own').state('x')).rejects.toThrow('own');
    gate.at('own').wakeWhenBack('x');
    await gate.state('y');
    expect([gate.isAway, gate.at('own').isAway]).toEqual([false, true]);
    away.common = true;
    await expect(gate.state('y')).rejects.toThrow('common');
    asked.length = 0;
    while (clock.time < 30_000) await clock.step();
    expect(new Set(asked)).toEqual(new Set(['common']));
    away.common = false;
    away.own = false;
    while (gate.isAway || gate.at('own').isAway) await clock.step();
    expect(woken).toEqual(['x']);
    await gate.leaveAll();
    expect(asked.at(-1)).toBe('closed');
  });

  test('on a further server stalls who waits for it, and neither the platform nor another server; each is asked for itself', async () => {
    const clock = new StepClock();
    const [woken, asked]: [string[], string[]] = [[], []];
    const away = new Set(['eu']);
    const server = (name: string) => {
      const look = async () => {
        asked.push(name);
        if (away.has(name)) throw new DatabaseError('unreachable', name);
        return undefined;
      };
      return {
        state: look,
        check: look,
        at: () => server(`${name}/own`),
        close: async () => void asked.push(`closed ${name}`),
      };
    };
    const servers = new Map([
      ['eu', server('eu')],
      ['us', server('us')],
    ]);
    const platform = { ...server('platform'), on: (name: string) => servers.get(name) };
    const gate = createDatabaseGate(platform as unknown as Database, {
      clock,
      logger,
      onBack: (keys) => woken.push(...keys),
    });
    expect(gate.on('nowhere')).toBeUndefined();
    await expect(gate.on('eu')?.state('x')).rejects.toThrow('eu');
    gate.on('eu')?.wakeWhenBack('x');
    await gate.state('y');
    await gate.on('us')?.state('z');
    expect([gate.isAway, gate.on('eu')?.isAway, gate.on('us')?.isAway]).toEqual([false, true, false]);
    away.add('platform');
    await expect(gate.state('y')).rejects.toThrow('platform');
    away.delete('eu');
    while (gate.on('eu')?.isAway === true) await clock.step();
    expect(woken).toEqual(['x']);
    expect(gate.isAway).toBe(true);
    await gate.on('us')?.at('own').state('z');
    await gate.leaveAll();
    expect(asked.at(-1)).toBe('closed us/own');
    gate.stop();
    expect(clock.next).toBeUndefined();
  });

  test('is asked no more after the stop', async () => {
    const { clock, gate, fail } = setUp();
    fail('unreachable');
    await expect(gate.state('x')).rejects.toThrow();
    gate.stop();
    expect(clock.next).toBeUndefined();
  });
});
