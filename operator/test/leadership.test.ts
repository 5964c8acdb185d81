import { createLogger } from '@bankhouse/core';
import { RENEW_SECONDS, type Transport } from '@bankhouse/kube';
import { afterEach, describe, expect, test } from 'vitest';
import type { BankCredentials, BankRecord, Database, Erased, IdClaim } from '../src/database/index.ts';
import { type Leadership, lead } from '../src/leadership.ts';
import { StepClock, settle } from './step-clock.ts';

const RENEW_MS = RENEW_SECONDS * 1000;

/** An API server with a lease that nobody holds; it answers when a test lets it. */
class Api {
  /** Milliseconds to an answer; infinite: none comes. */
  answersAfter = 0;
  readonly log: string[] = [];
  private lease = { metadata: { resourceVersion: '1' }, spec: { holderIdentity: '' } };
  private readonly clock: StepClock;

  constructor(clock: StepClock) {
    this.clock = clock;
  }

  connect(): Transport {
    const closing = new AbortController();
    return {
      request: async <T>(...[method, path, options]: Parameters<Transport['request']>) => {
        const signals = options?.signal === undefined ? [] : [options.signal];
        await this.wait(`${method} ${path}`, AbortSignal.any([...signals, closing.signal]));
        if (!path.includes('/leases')) return {} as T;
        if (method !== 'GET') this.put(options?.body as Pick<Api['lease'], 'spec'>);
        return structuredClone(this.lease) as T;
      },
      stream: () => Promise.reject(new Error('no watch here')),
      separate: () => this.connect(),
      close: async () => closing.abort(),
    };
  }

  private put({ spec }: Pick<Api['lease'], 'spec'>): void {
    this.lease = { metadata: { resourceVersion: String(Number(this.lease.metadata.resourceVersion) + 1) }, spec };
  }

  private async wait(name: string, signal: AbortSignal): Promise<void> {
    this.log.push(name);
    if (this.answersAfter === 0) return;
    await new Promise<void>((resolve, reject) => {
      if (Number.isFinite(this.answersAfter)) this.clock.after(this.answersAfter, resolve);
      signal.addEventListener('abort', () => {
        this.log.push(`${name} broken off`);
        reject(new Error('broken off'));
      });
    });
  }
}

const running: { api: Api; leadership: Leadership }[] = [];
afterEach(async () => {
  for (const { api, leadership } of running.splice(0)) {
    api.answersAfter = 0;
    await leadership.release();
  }
});

async function setUp(answersAfter = 0) {
  const clock = new StepClock();
  const api = new Api(clock);
  api.answersAfter = answersAfter;
  const lost: number[] = [];
  const leadership = lead({
    transport: api.connect(),
    namespace: 'ns',
    name: 'lease',
    identity: 'me',
    clock,
    logger: createLogger({ component: 'test', level: 'fatal' }),
    onLost: () => lost.push(clock.time),
  });
  running.push({ api, leadership });
  await settle();
  return { clock, api, lost, leadership, write: () => leadership.transport.request('PATCH', '/bank') };
}

const REFUSED = { code: 'not_leading' };

describe('the right to write', () => {
  test('lasts as long as renewals succeed', async () => {
    const { clock, lost, write } = await setUp();
    while (clock.time < 3_600_000) await clock.step();
    await write();
    expect(lost).toEqual([]);
  });

  test('is not there before the lease is; reads are free', async () => {
    const { api, clock, lost, leadership, write } = await setUp(1_000);
    const read = leadership.transport.request('GET', '/bank');
    await expect(write()).rejects.toMatchObject(REFUSED);
    while (clock.time < 2_000) await clock.step();
    await Promise.all([read, leadership.acquired]);
    api.answersAfter = 0;
    await write();
    expect(lost).toEqual([]);
  });

  test('ends RENEW_SECONDS after the last renewal was sent, whenever that was answered, while the next one is under way', async () => {
    const { api, clock, lost, leadership, write } = await setUp(4_000);
    await clock.step();
    expect(api.log.at(-1)).toMatch(/^PUT /);
    const sentAt = clock.time;
    await clock.step();
    await leadership.acquired;
    expect(clock.time).toBe(sentAt + 4_000);
    api.answersAfter = Number.POSITIVE_INFINITY;
    while (lost.length === 0 && clock.next !== undefined) await clock.step();
    expect(lost).toEqual([sentAt + RENEW_MS]);
    await expect(write()).rejects.toMatchObject(REFUSED);
  });

  test('has ended for a process that stood still, before any timer says so, and is lost once', async () => {
    const { api, clock, lost, write } = await setUp();
    clock.time += RENEW_MS - 1;
    await write();
    clock.time += 1;
    const before = [...api.log];
    await expect(write()).rejects.toMatchObject(REFUSED);
    await expect(write()).rejects.toMatchObject(REFUSED);
    expect(api.log).toEqual(before);
    expect(lost).toEqual([RENEW_MS]);
  });

  test('ends by the timer when the clock is set back', async () => {
    const { api, clock, lost, write } = await setUp();
    api.answersAfter = Number.POSITIVE_INFINITY;
    const fromNow = clock.now;
    clock.now = () => fromNow() - 3_600_000;
    while (lost.length === 0 && clock.next !== undefined) await clock.step();
    await expect(write()).rejects.toMatchObject(REFUSED);
    expect(lost).toEqual([RENEW_MS]);
  });

  test('is given back when writes under way are broken off and new ones are refused', async () => {
    const { api, leadership, lost, write } = await setUp();
    api.answersAfter = Number.POSITIVE_INFINITY;
    const underWay = expect(write()).rejects.toThrow('broken off');
    await settle();
    api.answersAfter = 0;
    api.log.length = 0;
    const released = leadership.release();
    await expect(write()).rejects.toMatchObject(REFUSED);
    await Promise.all([underWay, released]);
    expect(api.log).toEqual(['PATCH /bank broken off', expect.stringMatching(/^PUT .*lease$/)]);
    expect(lost).toEqual([]);
  });

  test('covers what the database writes, and not what it reads', async () => {
    const { leadership } = await setUp();
    const called: string[] = [];
    const database = leadership.guardDatabase({
      state: async () => void called.push('state'),
      ensure: async () => void called.push('ensure'),
      claim: async () => void called.push('claim'),
      release: async () => void called.push('release'),
      forget: async () => void called.push('forget'),
      retire: async () => void called.push('retire'),
      lift: async () => void called.push('lift'),
      erase: async () => void called.push('erase'),
      due: async () => void called.push('due'),
      wantDatabase: async () => void called.push('wantDatabase'),
      dropDatabase: async () => void called.push('dropDatabase'),
      at: () => ({ letIn: async () => void called.push('letIn') }),
      close: async () => void called.push('close'),
    } as unknown as Database);
    const writes = [
      () => database.claim({} as IdClaim),
      () => database.ensure({} as BankRecord, {} as BankCredentials, { force: false }),
      () => database.retire('id', 'uid'),
      () => database.release('id', 'uid', undefined),
      () => database.erase('id', 'uid', new AbortController().signal),
      () => database.forget('id', 'uid', {} as Erased),
      () => database.wantDatabase('id', 'uid'),
      () => database.dropDatabase('id', 'uid', {} as Erased),
      () => database.at('own').letIn('role'),
    ];
    for (const write of writes) await write();
    await leadership.release();
    for (const write of writes) await expect(write()).rejects.toMatchObject(REFUSED);
    await database.state('id');
    await database.due(new Date(0), 1);
    await database.close();
    const read = ['state', 'due', 'close'];
    const written = [
      'claim',
      'ensure',
      'retire',
      'release',
      'erase',
      'forget',
      'wantDatabase',
      'dropDatabase',
      'letIn',
    ];
    expect(called).toEqual([...written, ...read]);
  });
});
