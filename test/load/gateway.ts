/**
 * `npx node test/load/gateway.ts [--seconds 5] [--clients 10] [--turns 3] [--warm-up 1] [--nginx /path/to/nginx]`: what the gateway adds to a call.
 *
 * A bare node:http echo stands for the bank's pod. It is called directly, through node:http and undici alone, through nginx as a plain proxy
 * (where there is one), and through the gateway (token, scopes, seals, audit record), in turns within one run: latency at one client,
 * requests a second and processor time at many, by clients of 2026-07-28 and of before. Exit 1: a target is missed, or something is wrong.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { bankPath, messageOf } from '@bankhouse/core';
import { exportJWK, generateKeyPair } from 'jose';
import { goodClaims, signToken } from '../harness/bad-requests.ts';
import { type Latencies, load, quantile } from './measure.ts';
import { ANSWER, BANK, BenchError, FRONT_DOOR, inPath, startNginx, startWay, type Way } from './ways.ts';
import { type Era, openWire } from './wire.ts';

const ERAS: readonly Era[] = ['modern', 'legacy'];
const ECHO = 'echo directly';
const BARE = 'through node:http and undici';
const NGINX = 'through nginx';
const GATEWAY = 'through the gateway';
/** What can't be told from nothing. */
const CLOCK_MS = 0.001;

interface Options {
  readonly seconds: number;
  readonly clients: number;
  readonly turns: number;
  readonly warmUp: number;
  readonly nginx: string | undefined;
}

/** `cpuMs`: processor time of the called process per request, which other work on the machine changes little. */
type Measured = Latencies & { readonly cpuMs: number };
/** By name of the way. */
type Turn = ReadonlyMap<string, Measured>;

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '5' },
      clients: { type: 'string', default: '10' },
      turns: { type: 'string', default: '3' },
      'warm-up': { type: 'string', default: '1' },
      nginx: { type: 'string' },
    },
  });
  const number = (name: 'seconds' | 'clients' | 'turns' | 'warm-up', least: number, isWhole: boolean) => {
    const value = Number(values[name]);
    if (value >= least && value <= 1000 && (!isWhole || Number.isInteger(value))) return value;
    throw new BenchError(`--${name} must be a ${isWhole ? 'whole ' : ''}number from ${least} to 1000.`);
  };
  return {
    seconds: number('seconds', 0.1, false),
    clients: number('clients', 1, true),
    turns: number('turns', 1, true),
    warmUp: number('warm-up', 0, false),
    nginx: values.nginx ?? inPath('nginx'),
  };
}

async function main(): Promise<void> {
  const options = readOptions();
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' };
  const jwks = createServer((_request, response) => void response.end(JSON.stringify({ keys: [jwk] })));
  const ways: Way[] = [];
  try {
    jwks.listen(0, '127.0.0.1');
    await once(jwks, 'listening');
    const jwksUrl = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`;
    const echo = await startWay(ECHO, 'echo');
    ways.push(echo);
    ways.push(await startWay(BARE, 'bare', [String(echo.port)]));
    if (options.nginx !== undefined) ways.push(await startNginx(NGINX, options.nginx, echo.port));
    ways.push(await startWay(GATEWAY, 'gateway', [String(echo.port), jwksUrl]));
    const now = Math.floor(Date.now() / 1000);
    const claims = { ...goodClaims({ frontDoor: FRONT_DOOR, bank: BANK, issuer: FRONT_DOOR, now }), exp: now + 36_000 };
    const token = await signToken(privateKey, { alg: 'ES256', typ: 'at+jwt', kid: 'k' }, claims);
    await compare(ways, token, options);
  } finally {
    await Promise.all(ways.map((way) => way.stop()));
    jwks.close();
    jwks.closeAllConnections();
  }
}

async function compare(ways: readonly Way[], token: string, options: Options): Promise<void> {
  const { turns, seconds, clients, nginx } = options;
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`;
  console.log(`${machine}; ${turns} turns of ${seconds} s each; answer ${ANSWER.length} bytes`);
  if (nginx === undefined) console.log('No nginx in PATH, and none named by --nginx: two targets are not measured.');
  for (const era of ERAS) {
    const alone = await takeTurns(ways, { era, token, clients: 1 }, options);
    const many = await takeTurns(ways, { era, token, clients }, options);
    report(`${era}, 1 client`, alone);
    report(`${era}, ${clients} clients`, many);
    judge(era, alone, many, clients);
  }
}

async function takeTurns(
  ways: readonly Way[],
  kind: { era: Era; token: string; clients: number },
  options: Options,
): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (let turn = 0; turn < options.turns; turn++) {
    const measured = new Map<string, Measured>();
    for (const way of ways) measured.set(way.name, await measure(way, kind, options));
    turns.push(measured);
  }
  return turns;
}

/** @throws BenchError where a call failed: its figures would say nothing */
async function measure(
  way: Way,
  { era, token, clients }: { era: Era; token: string; clients: number },
  { seconds, warmUp }: Options,
): Promise<Measured> {
  const url = `http://127.0.0.1:${way.port}${bankPath(BANK)}`;
  const wire = openWire(url, () => ({ authorization: `Bearer ${token}` }), { connections: clients, era });
  try {
    let calls = 0;
    let failed: string | undefined;
    const call = async () => {
      calls += 1;
      await wire.call('list_recordings', { limit: 20 }).catch((error: unknown) => {
        failed ??= messageOf(error);
        throw error;
      });
    };
    // Apart, so that no processor time of it counts either: what V8 compiles then is a matter of the start.
    await load(call, { clients, warmUpMs: 0, durationMs: warmUp * 1000 });
    calls = 0;
    const before = way.cpuMs();
    const latencies = await load(call, { clients, warmUpMs: 0, durationMs: seconds * 1000 });
    if (failed !== undefined) throw new BenchError(`${way.name}, ${era}: a call failed: ${failed}`);
    return { ...latencies, cpuMs: (way.cpuMs() - before) / calls };
  } finally {
    await wire.close();
  }
}

/** The median turn of each way, by its latency. */
function report(what: string, turns: readonly Turn[]): void {
  for (const name of turns[0]?.keys() ?? []) {
    const sorted = turns.flatMap((turn) => turn.get(name) ?? []).sort((a, b) => a.p50 - b.p50);
    const median = sorted[Math.floor(sorted.length / 2)];
    if (median === undefined) continue;
    const { p50, p95, p99, perSecond, cpuMs } = median;
    console.log(
      `${what.padEnd(18)} ${name.padEnd(28)} p50 ${p50.toFixed(3)} p95 ${p95.toFixed(3)} p99 ${p99.toFixed(3)} ms, ` +
        `${perSecond.toFixed(0)}/s, ${cpuMs.toFixed(3)} ms CPU each`,
    );
  }
}

/** The targets: each a ratio of two ways in the same turn, so that what the machine does besides changes it little. */
function judge(era: Era, alone: readonly Turn[], many: readonly Turn[], clients: number): void {
  const perSecond = (turn: Turn, name: string) => turn.get(name)?.perSecond ?? Number.NaN;
  const p50 = (turn: Turn, name: string) => turn.get(name)?.p50 ?? Number.NaN;
  const added = (turn: Turn, name: string) => Math.max(p50(turn, name) - p50(turn, ECHO), CLOCK_MS);
  const cpu = (turn: Turn, name: string) => turn.get(name)?.cpuMs ?? Number.NaN;
  const targets: [string, readonly Turn[], (turn: Turn) => number, 'at least' | 'at most', number][] = [
    [
      `requests a second at ${clients} clients, of nginx's`,
      many,
      (turn) => perSecond(turn, GATEWAY) / perSecond(turn, NGINX),
      'at least',
      0.5,
    ],
    ["added p50 at one client, of nginx's", alone, (turn) => added(turn, GATEWAY) / added(turn, NGINX), 'at most', 4],
    [
      `processor time a request at ${clients} clients, of node:http and undici's`,
      many,
      (turn) => cpu(turn, GATEWAY) / cpu(turn, BARE),
      'at most',
      1.6,
    ],
  ];
  for (const [what, turns, ratioOf, bound, target] of targets) {
    const ratios = turns.map(ratioOf).sort((a, b) => a - b);
    const median = quantile(ratios, 0.5);
    if (Number.isNaN(median)) continue;
    const isMet = bound === 'at least' ? median >= target : median <= target;
    if (!isMet) process.exitCode = 1;
    const spread = `${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)}`;
    console.log(
      `${era}: ${what}: ${median.toFixed(2)} (${spread}); target ${bound} ${target}: ${isMet ? 'met' : 'missed'}`,
    );
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`gateway bench: ${messageOf(error).replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
}
