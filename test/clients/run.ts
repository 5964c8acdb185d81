import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const LIMIT_MS = 90_000;

export interface Ran {
  /** -1: a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell and with this environment alone; one that takes too long is ended. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env: Record<string, string>; limitMs?: number },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const { cwd = ROOT, env, limitMs = LIMIT_MS } = options;
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const child = spawn(program, args, { cwd, env, stdio: [...stdio], timeout: limitMs, killSignal: 'SIGKILL' });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk) => out.push(chunk));
    child.stderr.on('data', (chunk) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code: code ?? -1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
  });
}
