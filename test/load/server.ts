/**
 * `npx node test/load/server.ts [seconds]`: tools/call list_recordings, 45 tools listed, by our serving stack and by the SDK's
 * high-level McpServer built per request, taking turns in processes of their own, over rows that are already there: what is
 * measured is the server alone. Requests per second of the process's own CPU time, so that a busy machine matters little; both
 * are warmed up by as many calls.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, deriveSealKey, sealAssertion } from '@bankhouse/core';
import {
  type Database,
  loadServerConfig,
  startBankServer,
  type Tool,
  type Toolset,
  toolsetsNamed,
} from '@bankhouse/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { load } from './measure.ts';
import { openWire } from './wire.ts';

const BANK = 'bench';
const TOOLS = 45;
const ROWS = Array.from({ length: 21 }, (_, n) => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  source: 'recording',
  title: `Quarterly review number ${n}`,
  started_at: '2026-05-01T09:30:00.123456Z',
  duration_seconds: 1800 + n,
  participants: ['ann@example.com', 'ben@example.com', 'cleo@example.com'],
  vault_ids: ['sales'],
  language: 'en',
}));
const rows: Database['withCaller'] = (_caller, _options, work) =>
  work({ rows: <R extends object>() => Promise.resolve(ROWS as unknown as R[]) });
const database: Database = {
  withCaller: rows,
  loginIsRefused: () => Promise.resolve(false),
  close: () => Promise.resolve(),
};

/** The recordings, and copies under other names up to the number of tools that a bank will have. */
function manyTools(): Toolset {
  const [recordings] = toolsetsNamed(['recordings']);
  if (recordings === undefined) throw new Error('no toolset');
  const { tools } = recordings;
  const copies = Array.from({ length: TOOLS - tools.length }, (_, n): Tool => {
    const tool = tools[n % tools.length] as Tool;
    return { ...tool, name: `${tool.name}_${n}` };
  });
  return { ...recordings, tools: [...tools, ...copies] };
}

async function serveOurs(secretDir: string): Promise<number> {
  const config = loadServerConfig({ BANK_ID: BANK, SECRET_DIR: secretDir, PORT: '0', LOG_LEVEL: 'silent' });
  const logger = createLogger({ component: 'bench', level: 'silent' });
  return (await startBankServer(config, logger, { toolsets: [manyTools()], database })).port;
}

async function serveHighLevel(): Promise<number> {
  const { tools } = manyTools();
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: BANK, version: '1' });
    for (const tool of tools) {
      const { name, title, description, input, output } = tool;
      server.registerTool(name, { title, description, inputSchema: input, outputSchema: output }, async (args) => {
        const answer = await rows({} as never, {} as never, (tx) => tool.run(args, { tx, bank: BANK } as never));
        return {
          content: [{ type: 'text' as const, text: answer.text }],
          structuredContent: answer.structured as Record<string, unknown>,
        };
      });
    }
    return server;
  });
  const http = createServer(toNodeHandler(handler) as never).listen(0);
  await once(http, 'listening');
  return (http.address() as AddressInfo).port;
}

async function child(kind: string, secretDir: string): Promise<void> {
  const port = kind === 'ours' ? await serveOurs(secretDir) : await serveHighLevel();
  process.on('SIGINT', () => process.exit());
  process.on('message', () => process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() }));
  process.send?.({ port });
}

const ask = async (process: ChildProcess) => {
  process.send('usage');
  const [{ cpu, rss }] = await once(process, 'message');
  return { seconds: (cpu.user + cpu.system) / 1e6, rss };
};

const WARM_UP_CALLS = 10_000;
const ROUNDS = 5;
const CLIENTS = 10;

interface Contestant {
  readonly name: string;
  /** Requests per second of processor time, in a round of so many seconds. */
  round(seconds: number): Promise<number>;
  stop(): Promise<void>;
}

async function start(name: string, dir: string, headers: () => Record<string, string>): Promise<Contestant> {
  const execArgv = (globalThis.process.env.BENCH_EXECARGV ?? '').split(' ').filter(Boolean);
  const process = fork(import.meta.filename, [name, dir], { execArgv });
  const [{ port }] = await once(process, 'message');
  const wire = openWire(`http://127.0.0.1:${port}/mcp/bank-${BANK}`, headers, { connections: CLIENTS });
  const call = () => wire.call('list_recordings', {});
  const share = Array.from({ length: WARM_UP_CALLS / CLIENTS });
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (const _ of share) await call();
    }),
  );
  return {
    name,
    async round(seconds) {
      const before = await ask(process);
      const result = await load(call, { clients: CLIENTS, warmUpMs: 0, durationMs: seconds * 1000 });
      const after = await ask(process);
      const perCpuSecond = result.count / (after.seconds - before.seconds);
      console.log(
        `${name.padEnd(10)} ${perCpuSecond.toFixed(0).padStart(6)} requests per CPU second, ${result.perSecond.toFixed(0)}/s, p50 ${result.p50.toFixed(2)} ms, p99 ${result.p99.toFixed(2)} ms, ${result.errors} errors, ${(after.rss / 1e6).toFixed(0)} MB`,
      );
      return perCpuSecond;
    },
    async stop() {
      await wire.close();
      process.kill('SIGINT');
      await once(process, 'exit');
    },
  };
}

async function main(): Promise<void> {
  const [, , kind, dir] = process.argv;
  if (dir !== undefined && kind !== undefined) return child(kind, dir);
  const seconds = Number(kind ?? 5);
  const root = randomBytes(32);
  const secretDir = mkdtempSync(join(tmpdir(), 'bankhouse-bench-'));
  const key = deriveSealKey(root, 'pod', BANK, 'uid', 1);
  writeFileSync(join(secretDir, 'seal-keys'), JSON.stringify({ 1: key.toString('base64') }));
  writeFileSync(join(secretDir, 'database-url'), 'postgres://nobody@127.0.0.1:1/none');
  const headers = () => {
    const iat = Math.floor(Date.now() / 1000);
    const caller = { sub: 's', iss: 'i', access: 'read', vaults: null, jti: 'j' } as const;
    const assertion = { scopes: ['mcp:read'], ...caller, bank: BANK, exp: iat + 3600, iat, rid: 'r' };
    const sealed = sealAssertion(assertion, key, 1);
    return { 'bankhouse-assertion': sealed, 'bankhouse-database-assertion': sealed };
  };
  const contestants = [await start('high-level', secretDir, headers), await start('ours', secretDir, headers)] as const;
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [high, ours] = [await contestants[0].round(seconds), await contestants[1].round(seconds)];
    ratios.push(ours / high);
  }
  for (const contestant of contestants) await contestant.stop();
  rmSync(secretDir, { recursive: true });
  const sorted = ratios.sort((a, b) => a - b).map((ratio) => ratio.toFixed(1));
  console.log(`ours / high-level, ${ROUNDS} rounds: ${sorted.join(', ')}; median ${sorted[Math.floor(ROUNDS / 2)]}`);
}

await main();
