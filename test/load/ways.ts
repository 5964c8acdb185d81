/** The processes between which test/load/gateway.ts compares: what is started is ended, however the bench ends. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { atEnd, removeFolder } from '../harness/at-end.ts';

export const FRONT_DOOR = 'https://mcp.example.com';
export const BANK = 'acme';
export const OTHER_BANK = 'globex';
/** The tool of `bank` that answers so many bytes: more than the kernel takes on loopback for who doesn't read, which is some 3 MB. */
export const LARGE = 'large';
export const LARGE_BYTES = 4_000_000;
/** About what one recording's summary makes. */
export const ANSWER = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  result: { content: [{ type: 'text', text: 'x'.repeat(900) }] },
});

const START_LIMIT_MS = 5_000;
/** Of ours, which load their sources first: on a machine that is busy with other tests as well. */
const OWN_START_LIMIT_MS = 60_000;
const LOOPBACK = '127.0.0.1';

export interface Way {
  readonly name: string;
  readonly port: number;
  /** Processor time so far, in milliseconds. */
  cpuMs(): number;
  /** The most memory that it had in RAM, in bytes. */
  peakBytes(): number;
  /** What it has now. */
  residentBytes(): number;
  stop(): Promise<void>;
}

/** What is wrong, in one sentence. */
export class BenchError extends Error {}

export function startWay(
  name: string,
  role: 'echo' | 'bank' | 'quiet' | 'bare' | 'gateway',
  args: readonly string[] = [],
  execArgv: readonly string[] = [],
): Promise<Way> {
  const child = fork(join(import.meta.dirname, 'way.ts'), [role, ...args], {
    execArgv: [...execArgv],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const port = once(child, 'message').then(([message]) => message as number);
  return whenThere(name, child, port, OWN_START_LIMIT_MS);
}

/** The first program of this name in PATH. */
export function inPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}

/** nginx as a plain proxy: one process that keeps its connections, as ours is. */
export async function startNginx(name: string, program: string, echoPort: number): Promise<Way> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-nginx-'));
  const removed = atEnd(() => removeFolder(dir));
  const cleanUp = () => {
    removed();
    removeFolder(dir);
  };
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${dir}/${kind};`)
    .join(' ');
  writeFileSync(
    join(dir, 'nginx.conf'),
    `daemon off; master_process off; pid ${dir}/pid; error_log stderr; events { worker_connections 1024; }
    http { access_log off; ${paths} keepalive_requests 1000000;
      upstream echo { server ${LOOPBACK}:${echoPort}; keepalive 64; }
      server { listen ${LOOPBACK}:${port}; location / { proxy_pass http://echo; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  );
  const child = spawn(program, ['-c', join(dir, 'nginx.conf'), '-p', dir, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    const way = await whenThere(`${name} (${program})`, child, listening(child, port), START_LIMIT_MS);
    return { ...way, name, stop: () => way.stop().finally(cleanUp) };
  } catch (error) {
    cleanUp();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, LOOPBACK);
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Asks until somebody takes the connection; the caller gives up, or the process ends. */
async function listening(child: ChildProcess, port: number): Promise<number> {
  while (isRunning(child)) {
    const socket = connect(port, LOOPBACK);
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return port;
    await sleep(20);
  }
  return new Promise(() => {});
}

const isRunning = (child: ChildProcess) =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null;

/** @throws BenchError when the process can't be run, ends, or is not there in time; then nothing is left of it */
async function whenThere(name: string, child: ChildProcess, port: Promise<number>, limitMs: number): Promise<Way> {
  const forget = atEnd(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(
    ([code, signal]) => `it ended with ${code ?? signal}`,
    (error: NodeJS.ErrnoException) => `it can't be run (${error.code ?? error.message})`,
  );
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 1024) said += text;
  });
  const stop = async () => {
    child.kill('SIGKILL');
    if (child.pid !== undefined) await ended;
    forget();
  };
  const limit = new AbortController();
  const late = sleep(limitMs, `it does not listen after ${limitMs / 1000} s`, { signal: limit.signal });
  try {
    const outcome = await Promise.race([port, ended, late]);
    if (typeof outcome === 'number') {
      const pid = child.pid ?? 0;
      return {
        name,
        port: outcome,
        cpuMs: () => cpuMsOf(pid),
        peakBytes: () => memoryOf(pid, 'VmHWM'),
        residentBytes: () => memoryOf(pid, 'VmRSS'),
        stop,
      };
    }
    await stop();
    const [firstLine = ''] = said.trim().split('\n');
    throw new BenchError(`${name}: ${outcome}${firstLine === '' ? '' : `: ${firstLine}`}`);
  } finally {
    limit.abort();
    late.catch(() => {});
  }
}

/** User and system time so far (proc(5), fields 14 and 15, in hundredths of a second). */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A line of /proc/PID/status (proc(5)), in bytes. */
function memoryOf(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  const [, kibibytes] =
    new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}
