/**
 * `npx node test/load/gateway-memory.ts [--streams 5000] [--banks 1000]`: what the gateway takes of memory for banks that it knows, banks that were
 * called, and streams that are open, by clients of 2026-07-28 (subscriptions/listen) and of before (GET), beside node:http and undici that
 * pass the same streams on and do nothing else. Exit 1: it has more than its container may, or something is wrong.
 */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bankPath, MCP_HEADERS, MODERN_REVISION, messageOf } from '@bankhouse/core';
import { exportJWK, generateKeyPair } from 'jose';
import { goodClaims, signToken } from '../harness/tokens.ts';
import { memoryLimit } from './hostile-run.ts';
import { BenchError, FRONT_DOOR, startWay, type Way } from './ways.ts';
import type { Era } from './wire.ts';

/** Of one caller at one bank: the gateway gives it as many streams. */
const OF_A_SUBJECT = 50;
const SUBJECTS_A_BANK = 10;
/** Connections are opened by so many at a time: more than a server's backlog takes would be refused. */
const AT_A_TIME = 100;
const SETTLE_MS = 5_000;

type Opened = { readonly status: number | undefined; close(): void };

/** A stream whose first bytes are there, or an answer that is whole. */
async function open(
  agent: Agent,
  port: number,
  options: { bank: string; token: string; kind: Era | 'call' },
): Promise<Opened> {
  const { bank, token, kind } = options;
  const isGet = kind === 'legacy';
  const method = kind === 'modern' ? 'subscriptions/listen' : 'tools/list';
  const body = isGet ? '' : JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: {} });
  const sent = request({
    agent,
    port,
    host: '127.0.0.1',
    path: bankPath(bank),
    method: isGet ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      accept: isGet ? 'text/event-stream' : 'application/json, text/event-stream',
      ...(isGet
        ? {}
        : {
            'content-type': 'application/json',
            'content-length': body.length,
            [MCP_HEADERS.revision]: MODERN_REVISION,
            [MCP_HEADERS.method]: method,
          }),
    },
  }).end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  await once(answer, 'data');
  answer.on('error', () => {}).resume();
  return { status: answer.statusCode, close: () => sent.destroy() };
}

async function openAll(count: number, one: (at: number) => Promise<Opened>): Promise<Opened[]> {
  const all: Opened[] = [];
  for (let first = 0; first < count; first += AT_A_TIME) {
    const some = Array.from({ length: Math.min(AT_A_TIME, count - first) }, (_, at) => one(first + at));
    all.push(...(await Promise.all(some)));
  }
  const refused = all.find(({ status }) => status !== 200);
  if (refused !== undefined) throw new BenchError(`a stream or call was answered with ${refused.status}.`);
  return all;
}

const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
const kibibytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;

/** When what was thrown away is mostly gone. */
async function settled(way: Way): Promise<number> {
  await sleep(SETTLE_MS);
  return way.residentBytes();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { streams: { type: 'string', default: '5000' }, banks: { type: 'string', default: '1000' } },
  });
  const number = (name: keyof typeof values, least: number) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least && value <= 100_000) return value;
    throw new BenchError(`--${name} must be a whole number from ${least} to 100000.`);
  };
  const streams = number('streams', 1);
  const banks = number('banks', Math.ceil(streams / (OF_A_SUBJECT * SUBJECTS_A_BANK)));
  const limit = memoryLimit();
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' };
  const jwks = createServer((_request, response) => void response.end(JSON.stringify({ keys: [jwk] })));
  jwks.listen(0, '127.0.0.1');
  await once(jwks, 'listening');
  const jwksUrl = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`;
  const now = Math.floor(Date.now() / 1000);
  const tokens = new Map<string, Promise<string>>();
  const tokenOf = (bank: string, sub: string) => {
    const key = `${bank} ${sub}`;
    const claims = { ...goodClaims({ frontDoor: FRONT_DOOR, bank, issuer: FRONT_DOOR, now }), sub, exp: now + 36_000 };
    const token = tokens.get(key) ?? signToken(privateKey, { alg: 'ES256', typ: 'at+jwt', kid: 'k' }, claims);
    tokens.set(key, token);
    return token;
  };
  const callerOf = async (at: number) => {
    const subject = Math.floor(at / OF_A_SUBJECT);
    const bank = `bank-${Math.floor(subject / SUBJECTS_A_BANK)}`;
    return { bank, token: await tokenOf(bank, `sub-${subject}`) };
  };
  const ways: Way[] = [];
  const start = async (...args: Parameters<typeof startWay>) => {
    const way = await startWay(...args);
    ways.push(way);
    return way;
  };
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  // In a container Node gives the heap half of a small limit; here nothing limits it.
  const heap = `--max-old-space-size=${limit / 2 / 1024 / 1024}`;
  console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}; ${streams} streams, ${banks} banks`);
  try {
    const quiet = await start('quiet', 'quiet');
    const gatewayWith = (more: number) =>
      start('the gateway', 'gateway', [String(quiet.port), jwksUrl, String(more)], [heap]);
    const few = await settled(await gatewayWith(0));
    const gateway = await gatewayWith(banks);
    const many = await settled(gateway);
    console.log(
      `2 banks: ${mebibytes(few)}; ${banks} more: ${mebibytes(many)}, ${kibibytes((many - few) / banks)} each`,
    );
    let most = many;
    const called = await openAll(banks, async (at) => {
      const bank = `bank-${at}`;
      return open(agent, gateway.port, { bank, token: await tokenOf(bank, 'caller'), kind: 'call' });
    });
    const withCalls = await settled(gateway);
    most = Math.max(most, withCalls);
    console.log(`each bank called, its answer open: ${mebibytes(withCalls)}`);
    for (const { close } of called) close();
    for (const kind of ['modern', 'legacy'] as const) {
      // Each of its own process: what one leaves behind would be found by the next.
      const bare = await start('node:http and undici', 'bare', [String(quiet.port)]);
      for (const way of [await gatewayWith(banks), bare]) {
        const before = await settled(way);
        const opened = await openAll(streams, async (at) => open(agent, way.port, { ...(await callerOf(at)), kind }));
        const after = await settled(way);
        const cpuBefore = way.cpuMs();
        await sleep(SETTLE_MS);
        const core = (way.cpuMs() - cpuBefore) / SETTLE_MS;
        console.log(
          `${kind}, ${way.name}: ${streams} streams: ${mebibytes(before)} → ${mebibytes(after)}, ` +
            `${kibibytes((after - before) / streams)} each; ${(core * 100).toFixed(1)} % of a core while nothing happens`,
        );
        if (way !== bare) most = Math.max(most, after);
        for (const { close } of opened) close();
      }
    }
    const isMet = most <= limit;
    if (!isMet) process.exitCode = 1;
    console.log(
      `most: ${mebibytes(most)}; TARGET at most ${mebibytes(limit)}, the container's: ${isMet ? 'met' : 'missed'}`,
    );
  } finally {
    agent.destroy();
    await Promise.all(ways.map((way) => way.stop()));
    jwks.close();
    jwks.closeAllConnections();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`gateway memory bench: ${messageOf(error).replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
}
