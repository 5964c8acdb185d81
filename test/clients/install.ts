/**
 * MCP clients of other makers, in the versions that the lockfiles beside this say, installed into `.cluster/clients` when a test first needs
 * them: 600 MB that `make up` has no use for.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ran, ROOT, run } from './run.ts';

const HERE = join(ROOT, 'test/clients');
const STATE = join(ROOT, '.cluster/clients');
const LIMIT_MS = 600_000;

export const PYTHON_MCP = '2.3.0';

/** Folder with the programs of the npm packages. */
export async function npmClients(): Promise<string> {
  const files = ['package.json', 'package-lock.json', '.npmrc'];
  const folder = await installed('npm', files, async (folder) => {
    for (const file of files) copyFileSync(join(HERE, 'npm', file), join(folder, file));
    await orThrow('npm', ['ci', '--loglevel=error'], { cwd: folder });
  });
  return join(folder, 'node_modules/.bin');
}

/** Python with its `mcp`. */
export async function pythonClient(): Promise<string> {
  const folder = await installed(`python-${PYTHON_MCP}`, [], async (folder) => {
    await orThrow('python3', ['-m', 'venv', '--clear', folder]);
    const quiet = ['install', '--quiet', '--disable-pip-version-check'];
    await orThrow(join(folder, 'bin/pip'), [...quiet, `mcp==${PYTHON_MCP}`]);
  });
  return join(folder, 'bin/python');
}

/** The program that main.go makes. */
export async function goClient(): Promise<string> {
  const folder = await installed('go', ['go.mod', 'go.sum', 'main.go'], (folder) =>
    orThrow('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', join(folder, 'client'), '.'], {
      cwd: join(HERE, 'go'),
      env: { GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'auto', GOWORK: 'off', CGO_ENABLED: '0' },
    }),
  );
  return join(folder, 'client');
}

/** The folder that `install` fills, unless it was filled from the same files before. */
async function installed(
  name: string,
  files: readonly string[],
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(STATE, name);
  const stamp = join(STATE, `${name}.stamp`);
  const inputs = [name, ...files.map((file) => readFileSync(join(HERE, name, file), 'utf8'))].join('\n');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return folder;
  rmSync(stamp, { force: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await install(folder);
  writeFileSync(stamp, inputs);
  return folder;
}

async function orThrow(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<void> {
  const env = { ...(process.env as Record<string, string>), ...options.env };
  const ran: Ran = await run(program, args, { ...options, env, limitMs: LIMIT_MS });
  if (ran.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
}
