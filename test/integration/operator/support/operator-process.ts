import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiServer } from '../../../harness/apiserver.ts';
import { atEnd, removeFolder } from '../../../harness/at-end.ts';
import { ApiProxy, type Passed } from './api-proxy.ts';
import { eventually } from './eventually.ts';

const MAIN = new URL('../../../../operator/src/main.ts', import.meta.url).pathname;

/** An operator as a pod runs it, with a proxy of its own before the API server. */
export class OperatorProcess {
  readonly api: ApiProxy;
  /** With the exit code; none if a signal ended it. */
  readonly exited: Promise<number | null>;
  exitedAt: number | undefined;
  private readonly child: ChildProcess;
  private output = '';

  private constructor(api: ApiProxy, child: ChildProcess) {
    this.api = api;
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    child.once('exit', () => {
      this.exitedAt = performance.now();
    });
    // Unlike "exit", when all that it logged has come too.
    this.exited = once(child, 'close').then(([code]) => code as number | null);
  }

  static async start(api: ApiServer, options: { name: string; databaseUrl: string }): Promise<OperatorProcess> {
    const proxy = await ApiProxy.to(api);
    const folder = mkdtempSync(join(tmpdir(), 'bankhouse-operator-'));
    const kubeconfig = join(folder, 'kubeconfig.yaml');
    writeFileSync(kubeconfig, proxy.kubeconfig);
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        KUBECONFIG: kubeconfig,
        POD_NAME: options.name,
        ADMIN_PORT: '0',
        DATABASE_URL: options.databaseUrl,
        ROOT_KEY,
        FRONT_DOOR_URL: 'https://mcp.example.com',
        // Nobody: no bank gets as far as its front door here.
        FRONT_DOOR_CONNECT: '127.0.0.1:1',
        CONTROL_URL: 'http://127.0.0.1:1',
        VERIFIER_KEY: 'x'.repeat(16),
        SERVER_IMAGE: 'localhost/bankhouse/server:dev',
        PLATFORM_NAMESPACE: 'bankhouse-system',
        DATABASE_EGRESS: '[{"cidr":"203.0.113.9/32","port":5432}]',
      },
    });
    const operator = new OperatorProcess(proxy, child);
    const forget = atEnd(() => {
      child.kill('SIGKILL');
      removeFolder(folder);
    });
    void operator.exited.then(() => {
      removeFolder(folder);
      forget();
    });
    try {
      await eventually(() => {
        if (operator.ofLease.length === 0) throw new Error(`The operator has not come up. ${operator.output}`);
      });
    } catch (error) {
      await operator.stop();
      throw error;
    }
    return operator;
  }

  /** Writes of its work. */
  get writes(): Passed[] {
    return this.api.requests.filter(({ method, path }) => method !== 'GET' && !isLease(path));
  }

  /** Writes of its lease that the API server took. */
  get renewals(): Passed[] {
    return this.ofLease.filter(({ method, status = 500 }) => method !== 'GET' && status < 300);
  }

  /** Requests for its lease. */
  get ofLease(): Passed[] {
    return this.api.requests.filter(({ path }) => isLease(path));
  }

  /** What it logged, line by line. */
  get log(): string[] {
    return this.output.trim().split('\n');
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it, however it stands. */
  async stop(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
    await this.api.stop();
  }
}

/** One for all operators: of two root keys each would put its own in the place of the other's. */
const ROOT_KEY = randomBytes(32).toString('base64');

function isLease(path: string): boolean {
  return path.includes('/leases');
}
