import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { ApiServer } from '../harness/apiserver.ts';
import { freePort } from '../harness/ports.ts';
import { processOf } from './processor.ts';

const MAIN = new URL('../../operator/src/main.ts', import.meta.url).pathname;
const LIMIT_MS = 120_000;

/** An operator as its pod runs it, with the means to look at what it takes. */
export class MeasuredOperator {
  private readonly child: ChildProcess;
  private readonly adminPort: number;
  /** The end of what it wrote. */
  private output = '';

  private constructor(child: ChildProcess, adminPort: number) {
    this.child = child;
    this.adminPort = adminPort;
  }

  /** Ends when it works; `seconds` says how long that took. */
  static async start(
    api: ApiServer,
    databaseUrl: string,
    environment: Record<string, string> = {},
  ): Promise<{ operator: MeasuredOperator; seconds: number }> {
    const adminPort = await freePort();
    const startedAt = performance.now();
    const child = spawn(process.execPath, ['--max-semi-space-size=2', MAIN], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        KUBECONFIG: api.kubeconfigFile,
        POD_NAME: 'measured',
        ADMIN_PORT: String(adminPort),
        DATABASE_URL: databaseUrl,
        ROOT_KEY: randomBytes(32).toString('base64'),
        FRONT_DOOR_URL: 'https://mcp.example.com',
        FRONT_DOOR_CONNECT: '127.0.0.1:1',
        CONTROL_URL: 'http://127.0.0.1:1',
        VERIFIER_KEY: 'x'.repeat(16),
        SERVER_IMAGE: 'localhost/bankhouse/server:dev',
        PLATFORM_NAMESPACE: 'bankhouse-system',
        DATABASE_EGRESS: '[{"cidr":"203.0.113.9/32","port":5432}]',
        ...environment,
      },
    });
    const operator = new MeasuredOperator(child, adminPort);
    try {
      await new Promise<void>((resolve, reject) => {
        const failed = (what: string) => reject(new Error(`It ${what}. ${operator.output}`));
        const limit = setTimeout(() => failed(`does not work after ${LIMIT_MS} ms`), LIMIT_MS);
        child.once('exit', (code) => failed(`ended with ${code}`));
        child.stdout?.setEncoding('utf8').on('data', (text: string) => {
          operator.output = (operator.output + text).slice(-10_000);
          if (!operator.output.includes('"msg":"working"')) return;
          clearTimeout(limit);
          resolve();
        });
      });
    } catch (error) {
      await operator.stop();
      throw error;
    }
    return { operator, seconds: (performance.now() - startedAt) / 1000 };
  }

  /** Seconds of processor time so far. */
  get cpu(): number {
    return processOf(this.child.pid ?? 0)?.used ?? Number.NaN;
  }

  /** Megabytes: now, and at most so far. */
  get memory(): { now: number; most: number } {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    const of = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
    return { now: of('VmRSS'), most: of('VmHWM') };
  }

  /** Requests that write, leases apart, by method and resource. */
  async writes(): Promise<Record<string, number>> {
    const found = (await this.metrics()).matchAll(
      /^bankhouse_operator_writes_total\{[^}]*method="(\w+)",resource="([^"]+)"[^}]*\} (\d+)$/gm,
    );
    return Object.fromEntries(
      [...found].map(([, method, resource, count]) => [`${method} ${resource}`, Number(count)]),
    );
  }

  /** Passes that wait for a worker. */
  async queueLength(): Promise<number> {
    return Number(/^bankhouse_operator_queue_length(?:\{[^}]*\})? (\d+)$/m.exec(await this.metrics())?.[1]);
  }

  private async metrics(): Promise<string> {
    try {
      return await (await fetch(`http://127.0.0.1:${this.adminPort}/metrics`)).text();
    } catch (error) {
      const { exitCode, signalCode } = this.child;
      throw new Error(`The operator (ended: ${exitCode ?? signalCode}) tells nothing. ${this.output}`, {
        cause: error,
      });
    }
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

/** Where nobody answers: a database that is away. */
export async function awayDatabase(): Promise<string> {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as { port: number };
  closed.close();
  return `postgres://bankhouse_operator:x@127.0.0.1:${port}/bankhouse`;
}
