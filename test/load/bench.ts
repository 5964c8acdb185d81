/**
 * `make bench`: the figures of docs/benchmarks.md, taken from the running platform over loopback and written there with the
 * command that made them. Options: `--quick` for a tenth of the time, `--large` to include the 100,000 recordings,
 * `--large-alone` for these and nothing else. Neither the first nor the last writes into the file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { deriveSealKey, sealAssertion } from '@bankhouse/core';
import {
  bankManifest,
  callTool,
  connect,
  keyOf,
  kubectl,
  mintToken,
  platform,
  ROOT,
  run,
  SYSTEM_NAMESPACE,
  sampleBank,
  tryKubectl,
  until,
} from '../e2e/platform.ts';
import { type Latencies, load, summarize } from './measure.ts';
import { workingSetOf } from './memory.ts';
import { runUsers, THINK_MS } from './users.ts';
import { openWire, type Wire } from './wire.ts';

const QUICK = process.argv.includes('--quick');
const LARGE = process.argv.includes('--large');
const LARGE_ALONE = process.argv.includes('--large-alone');
const PHASE = QUICK ? { warmUpMs: 1000, durationMs: 3000 } : { warmUpMs: 5000, durationMs: 30_000 };
const CLIENTS = 10;
const USERS = 50;
/** A bank gives memory back when it rests, and the kubelet looks every ten seconds or so. */
const REST_MS = 30_000;
const WORDS = ['pricing', 'contract', 'onboarding', 'renewal', 'security review', '"next steps"'];

interface Row {
  what: string;
  target: string;
  measured: string;
}
const rows: Row[] = [];
const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;
const shape = (l: Latencies) =>
  `p50 ${ms(l.p50)}, p95 ${ms(l.p95)}, p99 ${ms(l.p99)}; ${l.perSecond.toFixed(0)}/s, ${l.errors} errors of ${l.count}`;

function report(row: Row): void {
  rows.push(row);
  console.log(`${row.what}: ${row.measured} (target ${row.target})`);
}

/** From `kubectl apply` to the first tool result through the front door; the image is on the node. */
async function firstResult(): Promise<void> {
  const samples: number[] = [];
  for (let turn = 0; turn < (QUICK ? 3 : 20); turn++) {
    const id = `bench-${turn}`;
    const began = performance.now();
    await kubectl(['apply', '-f', '-'], bankManifest(id));
    const token = await until(`a token for ${id}`, () => mintFast(id));
    await until(`a tool result of ${id}`, async () => {
      const wire = openWire(`${platform.frontDoor}/mcp/bank-${id}`, () => ({ authorization: `Bearer ${token}` }), {
        connections: 1,
        caFile: platform.caFile,
      });
      await wire.call('list_vaults', {}).finally(() => wire.close());
      return true;
    });
    samples.push(performance.now() - began);
    await kubectl(['delete', 'bank', id, '-n', 'banks', '--timeout=60s']);
  }
  const { p50, p95, count } = summarize(samples, 0, 1);
  report({
    what: 'apply of a Bank → first tool result',
    target: 'p95 ≤ 3 s',
    measured: `p50 ${ms(p50)}, p95 ${ms(p95)} of ${count}`,
  });
}

/** A token by control's API; the CLI would add the start of two Node processes to what is measured. */
async function mintFast(bank: string): Promise<string | undefined> {
  const answer = await fetch(`${readFileSync(join(ROOT, '.cluster/admin-url'), 'utf8').trim()}/v1/tokens`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(join(ROOT, '.cluster/admin-key'), 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ bank }),
  });
  return answer.ok ? ((await answer.json()) as { data: { token: string } }).data.token : undefined;
}

async function tools(id: string, recordings: string, limitMs: number): Promise<void> {
  const token = await mintToken(id);
  const wire = openWire(`${platform.frontDoor}/mcp/bank-${id}`, () => ({ authorization: `Bearer ${token}` }), {
    connections: CLIENTS,
    caFile: platform.caFile,
  });
  const calls: [string, (turn: number) => Record<string, unknown>][] = [
    ['list_recordings', () => ({})],
    ['search_recordings', (turn) => ({ query: WORDS[turn % WORDS.length] })],
  ];
  for (const [tool, args] of calls) {
    await wire.call(tool, args(0));
    const latencies = await load((client, turn) => wire.call(tool, args(client + turn)), {
      clients: CLIENTS,
      ...PHASE,
    });
    report({
      what: `${tool}, ${recordings} recordings, ${CLIENTS} clients, front door`,
      target: `p95 ≤ ${limitMs} ms`,
      measured: shape(latencies),
    });
  }
  await wire.close();
}

const podIp = (namespace: string, selector: string) =>
  kubectl([
    'get',
    'pod',
    '-n',
    namespace,
    '-l',
    selector,
    '--field-selector=status.phase=Running',
    '-o',
    'jsonpath={.items[0].status.podIP}',
  ]);

/** Lets this host open connections to a bank's pods, which their own policy allows to nobody but the gateway. */
async function withDirectAccess(id: string, use: () => Promise<void>): Promise<void> {
  const name = `bench-direct-${id}`;
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'banks' },
    spec: {
      podSelector: { matchLabels: { 'bankhouse.dev/bank': id } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 8080 }] }],
    },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(policy));
  try {
    await use();
  } finally {
    await kubectl(['delete', 'networkpolicy', name, '-n', 'banks']);
  }
}

/** The same call to the same pod, with and without the gateway in between, taking turns. */
async function addedLatency(): Promise<void> {
  const bank = sampleBank(0);
  const root = Buffer.from(await keyOf('root-key'), 'base64');
  const uid = await kubectl(['get', 'bank', bank.id, '-n', 'banks', '-o', 'jsonpath={.metadata.uid}']);
  const seal = (target: 'pod' | 'database') =>
    sealAssertion(
      {
        bank: bank.id,
        sub: 'bench',
        iss: platform.frontDoor,
        access: 'read',
        scopes: ['mcp:read'],
        vaults: null,
        jti: 'bench',
        exp: Math.floor(Date.now() / 1000) + 3600,
        iat: Math.floor(Date.now() / 1000),
        rid: 'bench',
      },
      deriveSealKey(root, target, bank.id, uid, 1),
      1,
    );
  const path = new URL(bank.url).pathname;
  const direct = openWire(
    `http://${await podIp('banks', `bankhouse.dev/bank=${bank.id}`)}:8080${path}`,
    () => ({ 'bankhouse-assertion': seal('pod'), 'bankhouse-database-assertion': seal('database') }),
    { connections: 1 },
  );
  const gateway = openWire(
    `http://${await podIp(SYSTEM_NAMESPACE, 'app.kubernetes.io/component=gateway')}:8080${path}`,
    () => ({ authorization: `Bearer ${bank.token}` }),
    { connections: 1 },
  );
  const door = openWire(bank.url, () => ({ authorization: `Bearer ${bank.token}` }), {
    connections: 1,
    caFile: platform.caFile,
  });
  await until('the pod to be reachable directly', () => direct.call('list_vaults', {}).then(() => true));
  const samples = new Map<Wire, number[]>([
    [direct, []],
    [gateway, []],
    [door, []],
  ]);
  const warmUp = QUICK ? 50 : 300;
  for (let turn = 0; turn < (QUICK ? 300 : 3000) + warmUp; turn++) {
    for (const [wire, taken] of samples) {
      const began = performance.now();
      await wire.call('list_vaults', {});
      if (turn >= warmUp) taken.push(performance.now() - began);
    }
  }
  const of = (wire: Wire) => summarize(samples.get(wire) ?? [], 0, 1);
  const [d, g, f] = [of(direct), of(gateway), of(door)];
  report({
    what: "gateway's added latency, same pod called directly",
    target: 'p50 ≤ 1 ms',
    measured: `p50 +${ms(g.p50 - d.p50)}, p95 +${ms(g.p95 - d.p95)}, p99 +${ms(g.p99 - d.p99)} (direct p50 ${ms(d.p50)}, gateway ${ms(g.p50)}, front door ${ms(f.p50)})`,
  });
  await Promise.all([direct.close(), gateway.close(), door.close()]);
}

async function workingSet(when: string): Promise<void> {
  for (const { id } of platform.banks) {
    const bytes = await workingSetOf(`bank-${id}-`);
    report({
      what: `working set of pod bank-${id}, ${when}`,
      target: '≤ 60 MB',
      measured: `${(bytes / 1e6).toFixed(1)} MB`,
    });
  }
}

/** A bank of its own with so many generated recordings, deleted after use. */
async function withBank(id: string, recordings: number, use: () => Promise<void>): Promise<void> {
  const vaults = ['sales', 'support', 'product'].map((vault) => ({ id: vault }));
  await kubectl(['apply', '-f', '-'], bankManifest(id, { vaults }));
  try {
    await until(`${id} to answer`, async () => {
      await using client = await connect(`${platform.frontDoor}/mcp/bank-${id}`, await mintToken(id));
      return await callTool(client, 'list_vaults');
    });
    const loaded = await run('npx', ['bankhouse', 'load', '--bank', id, '--generate', String(recordings)]);
    if (loaded.code !== 0) throw new Error(loaded.stderr);
    await use();
  } finally {
    await tryKubectl(['delete', 'bank', id, '-n', 'banks', '--timeout=120s']);
  }
}

/** R3.13: 50 users at work for five minutes. */
async function users(): Promise<void> {
  const id = 'bench-users';
  await withBank(id, 3000, async () => {
    const memory: number[] = [];
    const look = async () => memory.push((await workingSetOf(`bank-${id}-`)) / 1e6);
    const timer = setInterval(() => void look().catch(() => {}), 15_000);
    const { byTool, ...all } = await runUsers({
      url: `${platform.frontDoor}/mcp/bank-${id}`,
      caFile: platform.caFile,
      users: USERS,
      warmUpMs: QUICK ? 3000 : 15_000,
      durationMs: QUICK ? 20_000 : 300_000,
      token: () => until('a token', () => mintFast(id)),
      onError: (message) => console.error(message),
    });
    clearInterval(timer);
    await look();
    report({
      what: `${USERS} users, ${THINK_MS.least}–${THINK_MS.most} ms between their calls, reading and writing, 3,000 recordings, front door`,
      target: 'p95 ≤ 50 ms, 0 errors',
      measured: shape(all),
    });
    const slowest = [...byTool].sort(([, a], [, b]) => b.p95 - a.p95).map(([tool, l]) => `${tool} ${ms(l.p95)}`);
    report({ what: 'the same by tool', target: '', measured: `p95: ${slowest.join(', ')}` });
    report({
      what: 'working set of their pod, every 15 s',
      target: 'no growth',
      measured: `${memory.map((mb) => mb.toFixed(0)).join(', ')} MB`,
    });
  });
}

async function large(): Promise<void> {
  const id = 'bench-large';
  await withBank(id, 100_000, async () => {
    await using client = await connect(`${platform.frontDoor}/mcp/bank-${id}`, await mintToken(id));
    const { total } = await callTool<{ total: number }>(client, 'list_recordings', { limit: 1, includeTotal: true });
    report({ what: 'calls seen of 100,000 generated ones (R1.2)', target: '100000', measured: String(total) });
    await tools(id, '100,000', 100);
  });
}

function write(): void {
  const path = join(ROOT, 'docs/benchmarks.md');
  const [head = '', , tail = ''] = readFileSync(path, 'utf8').split(/<!-- (?:begin|end) platform -->\n?/);
  const command = `make bench${LARGE ? ' LARGE=1' : ''}`;
  const table = [
    '| what | target | measured |',
    '|---|---|---|',
    ...rows.map((r) => `| ${r.what} | ${r.target} | ${r.measured} |`),
  ];
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${cpus()[0]?.model ?? 'unknown processor'}`;
  const body = `\`${command}\` on ${new Date().toISOString().slice(0, 10)}; ${machine}; everything, clients included, on this machine.\n\n${table.join('\n')}\n`;
  writeFileSync(path, `${head}<!-- begin platform -->\n${body}<!-- end platform -->\n${tail}`);
}

if (LARGE_ALONE) await large();
else {
  await workingSet('at rest');
  await firstResult();
  await tools(sampleBank(0).id, '3,000 (two banks)', 50);
  await withDirectAccess(sampleBank(0).id, addedLatency);
  await workingSet('right after the load');
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  await workingSet(`${REST_MS / 1000} s later`);
  await users();
  if (LARGE) await large();
  if (!QUICK) write();
}
