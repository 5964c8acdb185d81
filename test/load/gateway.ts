/**
 * `npx node test/load/gateway.ts [--seconds 5] [--clients 32] [--nginx /path/to/nginx]`: what the gateway adds to a call.
 *
 * A bare node:http echo stands for the bank's pod; it is called directly, through the gateway (token, scopes, seals), and
 * where given through nginx as a plain proxy, in turns within one run. Latency at one client, requests a second at many.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bankPath, createLogger, createRegistry, loadConfig } from '@bankhouse/core';
import { assembleGateway, configSchema, Revocations, readBank, readPod } from '@bankhouse/gateway';
import { exportJWK, generateKeyPair } from 'jose';
import pino from 'pino';
import { goodClaims, signToken } from '../harness/bad-requests.ts';
import { bankObject, podObject } from '../harness/routed.ts';
import { type Latencies, load } from './measure.ts';
import { openWire, type Wire } from './wire.ts';

const FRONT_DOOR = 'https://mcp.example.com';
const BANK = 'acme';
const TURNS = 3;
const WARM_UP_MS = 1000;
/** About what one recording's summary makes. */
const ANSWER = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: { content: [{ type: 'text', text: 'x'.repeat(900) }] },
});

if (process.argv[2] === 'echo') await runEcho();
else if (process.argv[2] === 'gateway') await runGateway(Number(process.argv[3]), process.argv[4] ?? '');
else await main();

async function runEcho(): Promise<void> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length });
      response.end(ANSWER);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.send?.((server.address() as AddressInfo).port);
}

async function runGateway(echoPort: number, jwksUrl: string): Promise<void> {
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: Buffer.alloc(32, 7).toString('base64'),
    DATABASE_URL: 'postgres://nobody@localhost/nothing',
    TRUSTED_ISSUERS: JSON.stringify([{ issuer: FRONT_DOOR, jwksUrl }]),
  });
  const revocations = new Revocations(Number.POSITIVE_INFINITY);
  // The real logger at its real level, into nothing: what is measured includes writing the audit record.
  const destination = pino.destination({ dest: '/dev/null', sync: false, minLength: 4096 });
  const logger = createLogger({ component: 'gateway', level: 'info', destination });
  const { gateway, table, start } = assembleGateway({
    config,
    revocations,
    registry: createRegistry('gateway'),
    logger,
    podPort: echoPort,
  });
  revocations.confirm(performance.now());
  table.setBank(`banks/${BANK}`, readBank(bankObject(BANK)));
  table.setPod('banks/pod', readPod(podObject(BANK, '127.0.0.1')));
  await start();
  process.send?.(await gateway.listen(0, '127.0.0.1'));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '5' },
      clients: { type: 'string', default: '32' },
      nginx: { type: 'string' },
    },
  });
  const durationMs = Number(values.seconds) * 1000;
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwks = createServer(async (_request, response) => {
    response.end(JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] }));
  });
  jwks.listen(0, '127.0.0.1');
  await once(jwks, 'listening');
  const echo = await startSelf('echo');
  const gateway = await startSelf(
    'gateway',
    String(echo.port),
    `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`,
  );
  const nginx = values.nginx === undefined ? undefined : await startNginx(values.nginx, echo.port);
  const now = Math.floor(Date.now() / 1000);
  const claims = { ...goodClaims({ frontDoor: FRONT_DOOR, bank: BANK, issuer: FRONT_DOOR, now }), exp: now + 3600 };
  const token = await signToken(privateKey, { alg: 'ES256', typ: 'at+jwt', kid: 'k' }, claims);
  const ways: [string, Started][] = [
    ['echo directly', echo],
    ...(nginx === undefined ? [] : [['through nginx', nginx] as [string, Started]]),
    ['through the gateway', gateway],
  ];
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}; ${TURNS} turns of ${values.seconds} s; answer ${ANSWER.length} bytes`,
  );
  try {
    for (const clients of [1, Number(values.clients)]) {
      const results = new Map<string, Measured[]>(ways.map(([name]) => [name, []]));
      for (let turn = 0; turn < TURNS; turn++) {
        for (const [name, { child, port }] of ways) {
          const wire = openWire(
            `http://127.0.0.1:${port}${bankPath(BANK)}`,
            () => ({ authorization: `Bearer ${token}` }),
            {
              connections: clients,
            },
          );
          results.get(name)?.push(await measure(wire, clients, durationMs, child.pid ?? 0));
          await wire.close();
        }
      }
      report(clients, results);
    }
  } finally {
    for (const { child } of [echo, gateway, ...(nginx === undefined ? [] : [nginx])]) child.kill();
    jwks.close();
  }
}

type Measured = Latencies & { cpuMs: number };

/** `cpuMs`: processor time of the called process per request, which other work on the machine changes little. */
async function measure(wire: Wire, clients: number, durationMs: number, pid: number): Promise<Measured> {
  const before = cpuMsOf(pid);
  const options = { clients, warmUpMs: WARM_UP_MS, durationMs };
  const latencies = await load(() => wire.call('list_recordings', { limit: 20 }), options);
  const requests = (latencies.perSecond * (WARM_UP_MS + durationMs)) / 1000;
  return { ...latencies, cpuMs: (cpuMsOf(pid) - before) / requests };
}

/** User and system time so far (proc(5), fields 14 and 15, in hundredths of a second). */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** The median turn of each way, and what it adds to the direct one. */
function report(clients: number, results: ReadonlyMap<string, readonly Measured[]>): void {
  let direct: Latencies | undefined;
  for (const [name, turns] of results) {
    const sorted = [...turns].sort((a, b) => a.p50 - b.p50);
    const median = sorted[Math.floor(sorted.length / 2)];
    if (median === undefined) continue;
    direct ??= median;
    const added =
      median === direct
        ? ''
        : `; added p50 ${(median.p50 - direct.p50).toFixed(3)} p99 ${(median.p99 - direct.p99).toFixed(3)}`;
    const { p50, p95, p99, perSecond, errors, cpuMs } = median;
    console.log(
      `${String(clients).padStart(3)} clients, ${name.padEnd(20)} p50 ${p50.toFixed(3)} p95 ${p95.toFixed(3)} p99 ${p99.toFixed(3)} ms, ` +
        `${perSecond.toFixed(0)}/s, ${cpuMs.toFixed(3)} ms CPU each, ${errors} errors${added}`,
    );
  }
}

interface Started {
  child: ChildProcess;
  port: number;
}

async function startSelf(...args: string[]): Promise<Started> {
  const child = fork(new URL(import.meta.url).pathname, args);
  const [port] = (await once(child, 'message')) as [number];
  return { child, port };
}

async function startNginx(program: string, echoPort: number): Promise<Started> {
  const probe = createTcpServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-nginx-'));
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${dir}/${name};`)
    .join(' ');
  writeFileSync(
    join(dir, 'nginx.conf'),
    `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log; events { worker_connections 1024; }
    http { access_log off; ${paths} keepalive_requests 1000000;
      upstream echo { server 127.0.0.1:${echoPort}; keepalive 64; }
      server { listen 127.0.0.1:${port}; location / { proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  );
  const child = spawn(program, ['-c', join(dir, 'nginx.conf'), '-p', dir], { stdio: 'inherit' });
  child.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { child, port };
}
