/** The gateway's bench as a process: says in one line what is wrong, and leaves nothing behind however it ends (X2). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const BENCH = join(import.meta.dirname, '../../load/gateway.ts');
const SHORT = ['--seconds', '0.1', '--turns', '1', '--warm-up', '0', '--clients', '2'];

let dir: string;
let bench: ChildProcess | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bankhouse-bench-test-'));
  mkdirSync(join(dir, 'tmp'));
});

afterEach(() => {
  // All of its group, should it have left some.
  for (const pid of processesOf(bench)) process.kill(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

/** In a process group of its own, by which its children are found; no program is found in PATH. */
function start(args: readonly string[]) {
  const child = spawn(process.execPath, [BENCH, ...args], {
    detached: true,
    env: { PATH: dir, TMPDIR: join(dir, 'tmp') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  bench = child;
  return { child, ended: Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]) };
}

/** Processes of the child's group (proc(5), field 5 of stat), without those that have ended and are only waited for. */
function processesOf(child: ChildProcess | undefined): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        const [state, , group] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        return state !== 'Z' && Number(group) === child?.pid;
      } catch {
        return false;
      }
    });
}

async function expectNothingLeft(): Promise<void> {
  await expect.poll(() => processesOf(bench), { timeout: 10_000 }).toEqual([]);
  expect(readdirSync(join(dir, 'tmp')).filter((name) => name.startsWith('bankhouse-'))).toEqual([]);
}

function program(name: string, script: string, mode = 0o755): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, mode);
  return path;
}

describe("the gateway's bench", () => {
  it.each<[string, () => string[], RegExp]>([
    [
      'an nginx that is not there',
      () => ['--nginx', join(dir, 'missing')],
      /nginx \(\/.*missing\): it can't be run \(ENOENT\)/,
    ],
    ['a folder in its place', () => ['--nginx', dir], /it can't be run \(EACCES\)/],
    ['one that may not be run', () => ['--nginx', program('nginx', '', 0o644)], /it can't be run \(EACCES\)/],
    [
      'one that ends with a reason',
      () => ['--nginx', program('nginx', 'echo "no such directive" >&2; exit 3')],
      /it ended with 3: no such directive/,
    ],
    [
      'one that never listens',
      () => ['--nginx', program('nginx', 'exec /bin/sleep 600')],
      /it does not listen after 5 s/,
    ],
    ['an option that is not there', () => ['--ngnix', 'x'], /Unknown option '--ngnix'/],
    ['seconds in words', () => ['--seconds', 'five'], /--seconds must be a number from 0.1 to 1000\./],
    ['half a client', () => ['--clients', '1.5'], /--clients must be a whole number from 1 to 1000\./],
  ])('says what is wrong in one line, and nothing else: %s', async (_sentence, args, message) => {
    const [[code], stdout, stderr] = await start([...SHORT, ...args()]).ended;
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^gateway bench: .+\n$/);
    expect(stderr).toMatch(message);
    await expectNothingLeft();
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('leaves nothing when %s ends it', async (signal) => {
    const { child, ended } = start(['--seconds', '600', '--nginx', program('nginx', 'exec /bin/sleep 600')]);
    // The bench, two servers of its own, and that one.
    await expect.poll(() => processesOf(child).length, { timeout: 20_000 }).toBeGreaterThanOrEqual(4);
    child.kill(signal);
    const [[code, endedBy]] = await ended;
    expect([code, endedBy]).toEqual([null, signal]);
    await expectNothingLeft();
  });

  it('leaves nothing when it is killed', async () => {
    const { child, ended } = start(['--seconds', '600']);
    const measuring = once(child.stdout as NodeJS.ReadableStream, 'data');
    await measuring;
    child.kill('SIGKILL');
    await ended;
    await expectNothingLeft();
  });

  it('measures each way in both eras and puts the ratios beside their targets', async () => {
    const [[code], stdout, stderr] = await start(SHORT).ended;
    expect([0, 1]).toContain(code);
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[1]).toMatch(/^No nginx in PATH/);
    for (const era of ['modern', 'legacy']) {
      for (const clients of ['1 client ', '2 clients']) {
        expect(lines.filter((line) => line.startsWith(`${era}, ${clients}`))).toHaveLength(3);
      }
      const ratio = lines.filter((line) => line.startsWith(`${era}: processor time a request at 2 clients`));
      expect(ratio).toEqual([expect.stringMatching(/target at most 1\.6: (met|missed)$/)]);
    }
    expect(code).toBe(stdout.includes(': missed') ? 1 : 0);
    await expectNothingLeft();
  });
});
