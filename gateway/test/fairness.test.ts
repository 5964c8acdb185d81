/** Nobody takes what is everybody's: slots by caller, streams apart, one budget of bytes, readers that don't read (G2, G4). */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { MemoryBudget } from '../src/calls/budget.ts';
import {
  counted,
  JSON_TYPE,
  LIST,
  MODERN_LIST,
  open,
  send,
  start,
  startIssuer,
  startPod,
  startTestGateway,
  until,
} from './support.ts';

const MIB = 1024 * 1024;
const issuer = await startIssuer();
const pod = await startPod();
const gateway = await startTestGateway({
  issuers: [issuer],
  podPort: pod.port,
  env: {
    MAX_CONCURRENT_PER_BANK: '5',
    MAX_CONCURRENT_PER_SUBJECT: '2',
    MAX_STREAMS_PER_BANK: '3',
    MAX_STREAMS_PER_SUBJECT: '1',
    MEMORY_BUDGET_BYTES: String(8 * MIB),
    SLOW_READER_SECONDS: '1',
  },
});
const openings: { destroy(): void }[] = [];
afterEach(async () => {
  pod.onRequest = undefined;
  for (const opening of openings.splice(0)) opening.destroy();
  await until(async () => (await counted(gateway, 'bankhouse_gateway_open_calls')) === 0);
});
afterAll(async () => {
  await gateway.stop(0);
  await Promise.all([issuer.close(), pod.close()]);
});

const bearer = async (sub: string, id = 'acme') => ({ authorization: `Bearer ${await issuer.token({ sub }, id)}` });
const held = () => counted(gateway, 'bankhouse_gateway_held_bytes');
const openCalls = () => counted(gateway, 'bankhouse_gateway_open_calls');

/** A call that is sent and not answered. */
async function hang(sub: string, method: 'POST' | 'GET' = 'POST') {
  const before = pod.seen.length;
  const headers = { ...(method === 'POST' ? MODERN_LIST : JSON_TYPE), ...(await bearer(sub)) };
  const outgoing = start(gateway.port, { method, headers, body: method === 'POST' ? LIST : '' });
  outgoing.on('error', () => {});
  openings.push(outgoing);
  await until(() => pod.seen.length > before);
}

/** A body of which so many bytes arrive, and no end. */
async function sendSlowly(sub: string, bytes: number, id = 'acme') {
  const before = await held();
  const headers = { ...JSON_TYPE, 'content-length': String(MIB), ...(await bearer(sub, id)) };
  const outgoing = start(gateway.port, { target: `/mcp/bank-${id}`, headers, body: null });
  outgoing.on('error', () => {});
  openings.push(outgoing);
  outgoing.write(Buffer.alloc(bytes, 32));
  await until(async () => (await held()) >= before + bytes);
}

const refusalOf = async (
  sub: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
) => {
  const { method = 'POST', headers = MODERN_LIST, body = LIST } = options;
  const answer = await send(gateway.port, { method, headers: { ...headers, ...(await bearer(sub)) }, body });
  return [answer.status, answer.error?.data.code, answer.headers['retry-after']];
};

describe('slots (G4)', () => {
  it('a caller that has all of its own is told so, and another one of the same bank does not notice', async () => {
    pod.onRequest = () => {};
    await hang('greedy');
    await hang('greedy');
    pod.onRequest = undefined;
    expect(await refusalOf('greedy')).toEqual([503, 'caller_overloaded', '1']);
    expect(await refusalOf('other')).toEqual([200, undefined, undefined]);
  });

  it("the same sub of another client id or token has no more: slots are the subject's", async () => {
    pod.onRequest = () => {};
    await hang('greedy');
    await hang('greedy');
    pod.onRequest = undefined;
    const authorization = `Bearer ${await issuer.token({ sub: 'greedy', client_id: 'another' })}`;
    const answer = await send(gateway.port, { headers: { ...MODERN_LIST, authorization }, body: LIST });
    expect(answer.error?.data.code).toBe('caller_overloaded');
  });

  it('streams take no slot of calls, and calls none of streams', async () => {
    pod.onRequest = () => {};
    await hang('ann', 'GET');
    await hang('ann');
    await hang('ann');
    pod.onRequest = undefined;
    expect(await refusalOf('ann')).toEqual([503, 'caller_overloaded', '1']);
    expect(await refusalOf('ann', { method: 'GET', headers: JSON_TYPE, body: '' })).toEqual([
      503,
      'caller_overloaded',
      '1',
    ]);
    expect(await refusalOf('bob', { method: 'GET', headers: JSON_TYPE, body: '' })).toEqual([
      200,
      undefined,
      undefined,
    ]);
  });

  it('subscriptions/listen is a stream', async () => {
    pod.onRequest = () => {};
    await hang('ann', 'GET');
    pod.onRequest = undefined;
    const headers = { ...MODERN_LIST, 'mcp-method': 'subscriptions/listen' };
    expect(await refusalOf('ann', { headers })).toEqual([503, 'caller_overloaded', '1']);
    expect(await refusalOf('ann')).toEqual([200, undefined, undefined]);
  });
});

describe('the budget (G2)', () => {
  it('a caller with slow bodies gets 503 beyond its share, and others, of its bank and of another, work on', async () => {
    await sendSlowly('greedy', 600 * 1024);
    const more = start(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer('greedy')) }, body: null });
    more.on('error', () => {});
    openings.push(more);
    more.write(Buffer.alloc(600 * 1024, 32));
    const [refused] = (await once(more, 'response')) as [IncomingMessage];
    expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '1']);
    refused.resume();
    const body = JSON.stringify({ ...JSON.parse(LIST), params: { text: 'x'.repeat(900 * 1024) } });
    expect(await refusalOf('other', { headers: JSON_TYPE, body })).toEqual([200, undefined, undefined]);
  });

  it('gives back what an aborted, an answered and a refused call held', async () => {
    await sendSlowly('ann', 300 * 1024);
    openings.pop()?.destroy();
    await until(async () => (await held()) === 0);
    await refusalOf('ann', { headers: JSON_TYPE });
    await refusalOf('ann', { headers: JSON_TYPE, body: '{' });
    await until(async () => (await held()) === 0);
  });

  it.each<[string, (budget: MemoryBudget) => void, string]>([
    ['a caller an eighth', (budget) => budget.open({ bank: 'a', subject: 's' }).take(100), 'Your calls'],
    [
      'a bank a quarter',
      (budget) => {
        budget.open({ bank: 'a', subject: 't' }).take(100);
        budget.open({ bank: 'a', subject: 'u' }).take(100);
      },
      "This bank's calls",
    ],
    [
      'all banks together the whole',
      (budget) => {
        for (const bank of ['b', 'c', 'd', 'e'])
          for (const subject of ['t', 'u']) budget.open({ bank, subject }).take(100);
      },
      'The calls under way',
    ],
  ])('has %s at most', (_name, arrange, sentence) => {
    const budget = new MemoryBudget(800);
    arrange(budget);
    const holding = budget.open({ bank: 'a', subject: 's' });
    expect(() => holding.take(1)).toThrow(sentence);
    holding.release();
    holding.release();
    expect(budget.used % 100).toBe(0);
  });

  it('an answer that nobody takes is cut at once where the process has no room, and only then', () => {
    const budget = new MemoryBudget(800);
    const holding = budget.open({ bank: 'a', subject: 's' });
    expect([holding.waiting(700), holding.waiting(300), budget.used]).toEqual([true, true, 300]);
    expect(budget.open({ bank: 'b', subject: 's' }).waiting(600)).toBe(false);
  });
});

describe('a reader that does not read (G4)', () => {
  it.each(['while the answer goes on', 'after the bank has said all'])(
    'is cut, and its slot is free: %s',
    async (when) => {
      const closed = Promise.withResolvers<void>();
      pod.onRequest = (_request, response: ServerResponse) => {
        response.on('close', closed.resolve);
        response.write(Buffer.alloc((when === 'while the answer goes on' ? 32 : 6) * MIB, 120));
        response.end();
      };
      const headers = { ...MODERN_LIST, ...(await bearer('slow')) };
      const { outgoing, response } = await open(gateway.port, { headers, body: LIST });
      openings.push(outgoing);
      response.on('error', () => {});
      response.pause();
      expect(await openCalls()).toBe(1);
      await until(async () => (await openCalls()) === 0);
      await closed.promise;
      expect(await counted(gateway, 'bankhouse_gateway_requests_total', { outcome: 'slow_reader' })).toBeGreaterThan(0);
      expect(await held()).toBe(0);
    },
  );

  it('is not cut while it waits for a bank that says nothing', async () => {
    pod.onRequest = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hi\n\n');
    const { outgoing, response } = await open(gateway.port, {
      headers: { ...MODERN_LIST, ...(await bearer('ann')) },
      body: LIST,
    });
    openings.push(outgoing);
    response.resume();
    const end = performance.now() + 2_500;
    await until(() => performance.now() > end);
    expect(await openCalls()).toBe(1);
  });
});
