import { createLogger } from '@bankhouse/core';
import { afterEach, describe, expect, test } from 'vitest';
import type { FrontDoor } from '../src/probe/index.ts';
import { createProber, type Prober } from '../src/probe/index.ts';
import { StepClock, settle } from './step-clock.ts';

const stopping: Prober[] = [];
afterEach(async () => {
  for (const prober of stopping.splice(0)) await prober.stop();
});

async function setUp() {
  const clock = new StepClock();
  const door = { answers: false, attempts: 0 };
  const frontDoor: FrontDoor = {
    checkRoute: async () => {},
    async checkHandshake() {
      door.attempts += 1;
      if (!door.answers) throw new Error('503');
      return undefined;
    },
    forget: () => {},
    close: async () => {},
  };
  const heard: string[] = [];
  const prober = createProber({
    frontDoor,
    clock,
    logger: createLogger({ component: 'test', level: 'fatal' }),
    verifyEvery: 600_000,
    onChange: (key) => heard.push(key),
  });
  stopping.push(prober);
  const want = async (fingerprint: string) => {
    prober.want({ uid: 'u', key: 'banks/acme', id: 'acme', fingerprint });
    await settle();
  };
  await want('1');
  return { clock, door, heard, prober, want };
}

const status = (prober: Prober) => prober.get('u')?.verified.status;

describe('asking a bank whether it answers', () => {
  test('a new bank is asked every 75 ms, and nothing is told before it answers', async () => {
    const { clock, door, heard, prober } = await setUp();
    await clock.step();
    expect({ attempts: door.attempts, time: clock.time, heard, status: status(prober) }).toEqual({
      attempts: 2,
      time: 75,
      heard: [],
      status: undefined,
    });
    door.answers = true;
    await clock.step();
    expect({ heard, status: status(prober) }).toEqual({ heard: ['banks/acme'], status: 'True' });
    expect(clock.next).toBe(600_000);
  });

  test('a bank that does not come up is told of after five seconds, then asked more and more seldom', async () => {
    const { clock, door, heard, prober } = await setUp();
    while (clock.time < 4_925) await clock.step();
    expect(heard).toEqual([]);
    while (clock.time < 5_000) await clock.step();
    const { attempts } = door;
    expect({ heard, status: status(prober) }).toEqual({ heard: ['banks/acme'], status: 'False' });
    const pauses = [];
    for (let attempt = 0; attempt < 9; attempt += 1) {
      pauses.push(clock.next);
      await clock.step();
    }
    expect(attempts).toBe(68);
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
    expect(heard).toHaveLength(1);
  });

  test('one failure of a bank that answered is no news, two are', async () => {
    const { clock, door, heard, prober } = await setUp();
    door.answers = true;
    await clock.step();
    door.answers = false;
    await clock.step();
    expect(status(prober)).toBe('True');
    await clock.step();
    expect({ heard, status: status(prober) }).toEqual({ heard: ['banks/acme', 'banks/acme'], status: 'False' });
  });

  test('other pods are a reason to ask at once, and the old answer counts until then', async () => {
    const { clock, door, prober, want } = await setUp();
    door.answers = true;
    await clock.step();
    const { attempts } = door;
    await want('1');
    expect(door.attempts).toBe(attempts);
    await want('2');
    expect(door.attempts).toBe(attempts + 1);
    expect(status(prober)).toBe('True');
  });

  test('a bank that is forgotten is not asked again', async () => {
    const { clock, door, prober } = await setUp();
    prober.forget('u');
    await clock.step();
    expect(door.attempts).toBe(1);
    expect(prober.get('u')).toBeUndefined();
  });
});
