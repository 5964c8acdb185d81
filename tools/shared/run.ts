import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from './fault.ts';
import { ROOT } from './paths.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  input?: string;
  /** File that gets all output as well, appended. */
  log?: string;
  /** Called with each chunk of output, stdout and stderr alike. */
  onOutput?: (text: string) => void;
}

/** Runs a program without a shell and waits for its end; never throws for a non-zero exit, only if it can't be started. */
export function tryRun(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const log = options.log === undefined ? undefined : openLog(options.log, [program, ...args]);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: options.cwd ?? ROOT, env: { ...process.env, ...options.env } });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
        log?.write(text);
        options.onOutput?.(text);
      });
    }
    child.on('error', (cause) => {
      log?.end();
      reject(new Fault(`${program} can't be started: ${cause.message}.`, { cause }));
    });
    child.on('close', (code) => {
      log?.end();
      resolve({ code: code ?? -1, ...output });
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** The same, where anything but success is a Fault that tells the error, or else the last line. Returns stdout. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const ran = await tryRun(program, args, options);
  if (ran.code === 0) return ran.stdout;
  const lines = (ran.stderr.trim() || ran.stdout.trim()).split('\n');
  const said = lines.find((line) => /^error\b/i.test(line)) ?? lines.at(-1) ?? '';
  const name = program.split('/').at(-1);
  throw new Fault(`${name} ${args.slice(0, 3).join(' ')} failed (${ran.code}): ${said}`, {
    ...(options.log === undefined ? {} : { log: options.log }),
  });
}

function openLog(path: string, command: string[]): WriteStream {
  mkdirSync(dirname(path), { recursive: true });
  const log = createWriteStream(path, { flags: 'a' });
  log.write(`$ ${command.join(' ')}\n`);
  return log;
}
