/** A script that uses the harness leaves neither server nor folder behind, however it is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';

const SCRIPT = new URL('hold.ts', import.meta.url).pathname;
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

async function hold(args: readonly string[]): Promise<{ child: ChildProcess; dir: string }> {
  const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  const early = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the script ended before it had started: ${code ?? signal}`);
  });
  early.catch(() => {});
  const [line] = await Promise.race([once(child.stdout, 'data') as Promise<[Buffer]>, early]);
  return { child, dir: line.toString().trim() };
}

/** Processes that were started with the folder in their command line. */
function processesOf(dir: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir);
    } catch {
      return false;
    }
  });
}

async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > limit) throw new Error('still not so after 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

it.each<[string, string[], (child: ChildProcess) => unknown, [number | null, NodeJS.Signals | null]]>([
  ['a Postgres, by SIGTERM', ['postgres'], (child) => child.kill('SIGTERM'), [null, 'SIGTERM']],
  ['a Postgres, by SIGINT', ['postgres'], (child) => child.kill('SIGINT'), [null, 'SIGINT']],
  ['a Postgres, by its own exit', ['postgres'], (child) => child.stdin?.end(), [3, null]],
  ['a Postgres, by its own handler', ['postgres', 'own'], (child) => child.kill('SIGTERM'), [7, null]],
  ['an API server, by SIGTERM', ['apiserver'], (child) => child.kill('SIGTERM'), [null, 'SIGTERM']],
])('a script with %s', async (_sentence, args, end, ending) => {
  const { child, dir } = await hold(args);
  expect(processesOf(dir)).not.toEqual([]);
  const exit = once(child, 'exit');
  end(child);
  expect(await exit).toEqual(ending);
  expect(existsSync(dir)).toBe(false);
  await until(() => processesOf(dir).length === 0);
});
