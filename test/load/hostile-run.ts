/**
 * What honest callers feel of hostile ones at the same gateway: it, a bank's server and the hostile clients are processes of their own; the
 * honest ones call from here, each at a steady rate, with and without the attack by turns.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bankPath, messageOf } from '@bankhouse/core';
import { exportJWK, generateKeyPair } from 'jose';
import { parse } from 'yaml';
import { atEnd } from '../harness/at-end.ts';
import { goodClaims, signToken } from '../harness/tokens.ts';
import type { Answers, Attack, Begin } from './hostile-clients.ts';
import { quantile } from './measure.ts';
import { BANK, BenchError, FRONT_DOOR, OTHER_BANK, startWay, type Way } from './ways.ts';
import { openWire } from './wire.ts';

/** As many subjects as the attack with the most has. */
const HOSTILE_SUBJECTS = 200;
const CALL_EVERY_MS = 10;
const CONNECTIONS = 16;

export interface Felt {
  readonly p50: number;
  readonly p95: number;
}

/** One honest caller's calls in all turns of a phase. */
export interface Honest {
  readonly name: string;
  readonly alone: Felt;
  readonly beside: Felt;
  /** p95 beside the attack to p95 alone: the median turn. */
  readonly ratio: number;
  readonly failed: readonly string[];
}

export interface Phase {
  readonly name: string;
  readonly honest: readonly Honest[];
  /** What the attackers were answered. */
  readonly answers: Answers;
  /** The most memory that the gateway has had so far, in bytes. */
  readonly peakBytes: number;
  /** The gateway's processor time beside the attack, of a core. */
  readonly cpu: number;
}

/** The limit of the gateway's container, in bytes. */
export function memoryLimit(): number {
  const values = parse(readFileSync(join(import.meta.dirname, '../../charts/bankhouse/values.yaml'), 'utf8'));
  const [, mebibytes] = /^(\d+)Mi$/.exec(values.gateway.resources.limits.memory) ?? [];
  if (mebibytes === undefined) throw new BenchError('gateway.resources.limits.memory of the chart is not in Mi.');
  return Number(mebibytes) * 1024 * 1024;
}

/**
 * @param options.phases name → attacks at a time, one after the other
 * @param options.calls of each honest caller and side in each turn, after `warmUp` calls
 * @throws BenchError
 */
export async function measureHostile(options: {
  phases: Readonly<Record<string, readonly Attack[]>>;
  turns: number;
  calls: number;
  warmUp: number;
}): Promise<Phase[]> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' };
  const jwks = createServer((_request, response) => void response.end(JSON.stringify({ keys: [jwk] })));
  const ways: Way[] = [];
  const now = Math.floor(Date.now() / 1000);
  const token = (sub: string, bank: string, exp = now + 36_000) =>
    signToken(
      privateKey,
      { alg: 'ES256', typ: 'at+jwt', kid: 'k' },
      { ...goodClaims({ frontDoor: FRONT_DOOR, bank, issuer: FRONT_DOOR, now }), iat: exp - 36_000, sub, exp },
    );
  const many = (count: number, exp?: number) =>
    Promise.all(Array.from({ length: count }, (_, at) => token(`hostile-${at}`, BANK, exp)));
  try {
    jwks.listen(0, '127.0.0.1');
    await once(jwks, 'listening');
    const jwksUrl = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`;
    const bank = await startWay('the bank', 'bank');
    ways.push(bank);
    // In a container Node gives the heap half of a small limit; here nothing limits it.
    const heap = `--max-old-space-size=${memoryLimit() / 2 / 1024 / 1024}`;
    const gateway = await startWay('the gateway', 'gateway', [String(bank.port), jwksUrl], [heap]);
    ways.push(gateway);
    const told = {
      port: gateway.port,
      tokens: await many(HOSTILE_SUBJECTS),
      expired: await many(HOSTILE_SUBJECTS, now - 60),
    };
    const callers = [
      openCaller('another subject of the bank', gateway.port, BANK, await token('ann', BANK)),
      openCaller('a subject of another bank', gateway.port, OTHER_BANK, await token('bob', OTHER_BANK)),
    ];
    try {
      const phases: Phase[] = [];
      for (const [name, attacks] of Object.entries(options.phases)) {
        phases.push(await measurePhase({ name, callers, gateway, told: { ...told, attacks }, ...options }));
      }
      return phases;
    } finally {
      await Promise.all(callers.map((caller) => caller.close()));
    }
  } finally {
    await Promise.all(ways.map((way) => way.stop()));
    jwks.close();
    jwks.closeAllConnections();
  }
}

interface Caller {
  readonly name: string;
  call(): Promise<void>;
  close(): Promise<void>;
}

function openCaller(name: string, port: number, bank: string, token: string): Caller {
  const url = `http://127.0.0.1:${port}${bankPath(bank)}`;
  const wire = openWire(url, () => ({ authorization: `Bearer ${token}` }), { connections: CONNECTIONS });
  return { name, call: () => wire.call('list_recordings', { limit: 20 }), close: () => wire.close() };
}

interface Sampled {
  readonly samples: number[];
  readonly failed: readonly string[];
}

async function measurePhase(options: {
  name: string;
  callers: readonly Caller[];
  gateway: Way;
  told: Begin;
  turns: number;
  calls: number;
  warmUp: number;
}): Promise<Phase> {
  const { name, callers, gateway, told, turns, calls, warmUp } = options;
  const side = () =>
    Promise.all(
      callers.map(async ({ call }) => {
        const { failed } = await callSteadily(call, warmUp);
        const sampled = await callSteadily(call, calls);
        return { ...sampled, failed: [...failed, ...sampled.failed] };
      }),
    );
  const alone: Sampled[][] = [];
  const beside: Sampled[][] = [];
  const answers: Record<string, number> = {};
  let cpuMs = 0;
  let elapsedMs = 0;
  for (let turn = 0; turn < turns; turn++) {
    alone.push(await side());
    const attack = await beginAttack(told);
    try {
      const before = { cpuMs: gateway.cpuMs(), at: performance.now() };
      beside.push(await side());
      cpuMs += gateway.cpuMs() - before.cpuMs;
      elapsedMs += performance.now() - before.at;
      for (const [what, times] of Object.entries(await attack.end())) answers[what] = (answers[what] ?? 0) + times;
    } finally {
      attack.kill();
    }
  }
  const honest = callers.map((caller, at): Honest => {
    const of = (turn: Sampled[] | undefined) => turn?.[at]?.samples ?? [];
    const ratios = beside.map((turn, number) => feltOf(of(turn)).p95 / feltOf(of(alone[number])).p95);
    return {
      name: caller.name,
      alone: feltOf(alone.flatMap(of)),
      beside: feltOf(beside.flatMap(of)),
      ratio: quantile(
        ratios.sort((a, b) => a - b),
        0.5,
      ),
      failed: [...alone, ...beside].flatMap((turn) => turn[at]?.failed ?? []),
    };
  });
  return { name, honest, answers, peakBytes: gateway.peakBytes(), cpu: cpuMs / elapsedMs };
}

function feltOf(samples: readonly number[]): Felt {
  const sorted = [...samples].sort((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95) };
}

/** A call every so often, whether or not those before are answered. */
async function callSteadily(call: () => Promise<void>, count: number): Promise<Sampled> {
  const samples: number[] = [];
  const failed: string[] = [];
  const start = performance.now();
  const running: Promise<void>[] = [];
  for (let sent = 0; sent < count; sent++) {
    await sleep(Math.max(0, start + sent * CALL_EVERY_MS - performance.now()));
    const began = performance.now();
    running.push(
      call().then(
        () => void samples.push(performance.now() - began),
        (error: unknown) => void failed.push(messageOf(error)),
      ),
    );
  }
  await Promise.all(running);
  return { samples, failed };
}

/** Resolves when all attackers are at work. */
async function beginAttack(told: Begin): Promise<{ end(): Promise<Answers>; kill(): void }> {
  const child = fork(join(import.meta.dirname, 'hostile-clients.ts'));
  const forget = atEnd(() => child.kill('SIGKILL'));
  const kill = () => {
    child.kill('SIGKILL');
    forget();
  };
  const say = async (what: Begin | 'end'): Promise<unknown> => {
    const answer = nextMessage(child);
    child.send(what);
    return answer;
  };
  try {
    await say(told);
  } catch (error) {
    kill();
    throw error;
  }
  return { end: async () => (await say('end')) as Answers, kill };
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const settled = new AbortController();
  const { signal } = settled;
  try {
    const ended = once(child, 'exit', { signal }).then(([code, by]) => {
      throw new BenchError(`the hostile clients ended with ${code ?? by}`);
    });
    const [message] = (await Promise.race([once(child, 'message', { signal }), ended])) as unknown[];
    return message;
  } finally {
    settled.abort();
  }
}
