/**
 * Start of an operator in a cluster that is full already: time until it works, and its memory then. Targets: 20 s and 300 MB with 10,000
 * Banks and 10,000 McpServers.
 *
 *     BANKHOUSE_BIN=.cluster/bin node test/load/operator-start.ts [--banks 10000] [--servers 10000]
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { startApiServer } from '../harness/apiserver.ts';
import { fill } from '../harness/fill.ts';

const MAIN = new URL('../../operator/src/main.ts', import.meta.url).pathname;
const LIMIT_MS = 120_000;

const { values } = parseArgs({
  options: { banks: { type: 'string', default: '10000' }, servers: { type: 'string', default: '10000' } },
});
const [banks, servers] = [Number(values.banks), Number(values.servers)];

/** A port that answers nobody: a database that is away, so that no bank is made while the start is measured. */
const closed = createServer().listen(0, '127.0.0.1');
await once(closed, 'listening');
const { port } = closed.address() as { port: number };
closed.close();

const api = await startApiServer();
try {
  const filledIn = await fill(api.transport, { banks, servers });
  console.log(`${banks} Banks and ${servers} McpServers made in ${(filledIn / 1000).toFixed(1)} s`);
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['--max-semi-space-size=2', MAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      KUBECONFIG: api.kubeconfigFile,
      POD_NAME: 'measured',
      ADMIN_PORT: '0',
      DATABASE_URL: `postgres://bankhouse_operator:x@127.0.0.1:${port}/bankhouse`,
      ROOT_KEY: randomBytes(32).toString('base64'),
      FRONT_DOOR_URL: 'https://mcp.example.com',
      FRONT_DOOR_CONNECT: '127.0.0.1:1',
      CONTROL_URL: 'http://127.0.0.1:1',
      VERIFIER_KEY: 'x'.repeat(16),
      SERVER_IMAGE: 'localhost/bankhouse/server:dev',
      PLATFORM_NAMESPACE: 'bankhouse-system',
      DATABASE_EGRESS: '[{"cidr":"203.0.113.9/32","port":5432}]',
    },
  });
  try {
    const seconds = await new Promise<number>((resolve, reject) => {
      let output = '';
      const limit = setTimeout(() => reject(new Error(`It does not work after ${LIMIT_MS} ms. ${output}`)), LIMIT_MS);
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (!output.includes('"msg":"working"')) return;
        clearTimeout(limit);
        resolve((performance.now() - startedAt) / 1000);
      });
    });
    const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
    const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
    const [, user, system] =
      /\) \S+(?: \S+){10} (\d+) (\d+)/.exec(readFileSync(`/proc/${child.pid}/stat`, 'utf8')) ?? [];
    const cpu = (Number(user) + Number(system)) / 100;
    console.log(`works after ${seconds.toFixed(1)} s (${cpu.toFixed(1)} s of CPU)`);
    console.log(`memory ${Math.round(Number(memory) / 1024)} MB, at most ${Math.round(Number(peak) / 1024)} MB`);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
} finally {
  await api.stop();
}
