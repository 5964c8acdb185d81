/** The version that an upgrade comes from, and goes back to: its tree, its images, its chart. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT, run, STATE } from '../e2e/platform.ts';

/** The one place that names it: the last commit of the version before, from which on applied migrations stay as they are. */
export const VERSION_BEFORE = '28a753f';

export interface Version {
  chart: string;
  /** Tags of its images, which are digests of what they are made of. */
  tags: Record<'server' | 'platform', string>;
}

/**
 * Its tree in a folder of `.cluster`, with its images in the running cluster. What is there already is taken as it is.
 *
 * @param current tags of the version that runs, which keeps the tag `dev`
 */
export async function versionBefore(current: Version['tags']): Promise<Version> {
  const tree = join(STATE, 'before', VERSION_BEFORE);
  if (!existsSync(tree)) await checkOut(tree);
  const made = await run(process.execPath, [
    join(import.meta.dirname, 'bake-before.ts'),
    ...[tree, JSON.stringify(current)],
  ]);
  if (made.code !== 0) throw new Error(`The images of ${VERSION_BEFORE} can't be made: ${made.stderr.trim()}`);
  const images = JSON.parse(made.stdout.trim().split('\n').at(-1) ?? '') as Record<
    keyof Version['tags'],
    { digest: string }
  >;
  return {
    chart: join(tree, 'charts/bankhouse'),
    tags: { server: images.server.digest, platform: images.platform.digest },
  };
}

async function checkOut(tree: string): Promise<void> {
  const work = `${tree}.new`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const archive = join(work, 'tree.tar');
  const archived = await run('git', ['archive', '--format=tar', '-o', archive, VERSION_BEFORE]);
  if (archived.code !== 0) {
    throw new Error(
      `The upgrade comes from commit ${VERSION_BEFORE}, which this clone can't give: ${archived.stderr.trim()}\n` +
        'Fetch the whole history (git fetch --unshallow) and run this again.',
    );
  }
  await mustRun('tar', ['-xf', archive, '-C', work]);
  rmSync(archive);
  if (hasAllPackagesOf(work)) borrowPackages(work);
  else await mustRun('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', work]);
  // Debian's packages in the base image and the programs of the cluster are those of this clone.
  mkdirSync(join(work, '.cluster/images'), { recursive: true });
  symlinkSync(join(STATE, 'bin'), join(work, '.cluster/bin'));
  symlinkSync(join(STATE, 'images/storage'), join(work, '.cluster/images/storage'));
  renameSync(work, tree);
}

type Packages = Record<string, { version?: string; link?: boolean }>;

/** Whether every package that the tree wants is in our node_modules, in that version. */
function hasAllPackagesOf(tree: string): boolean {
  const packagesOf = (folder: string) =>
    (JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as { packages: Packages }).packages;
  const ours = packagesOf(ROOT);
  return Object.entries(packagesOf(tree)).every(
    ([path, { version, link }]) => !path.includes('node_modules/') || link || ours[path]?.version === version,
  );
}

/** Links to our packages, and to the tree's own workspaces. */
function borrowPackages(tree: string): void {
  const own = '@bankhouse';
  mkdirSync(join(tree, 'node_modules', own), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter((each) => each !== own)) {
    symlinkSync(join(ROOT, 'node_modules', name), join(tree, 'node_modules', name));
  }
  for (const name of readdirSync(join(ROOT, 'node_modules', own))) {
    symlinkSync(join('../..', name), join(tree, 'node_modules', own, name));
  }
}

async function mustRun(program: string, args: string[]): Promise<void> {
  const ran = await run(program, args);
  if (ran.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${ran.stderr}`);
}

/** Of these values those that the chart has, its sections' entries included: its schema refuses what came after it. */
export function valuesOf(chart: string, values: Record<string, unknown>): Record<string, unknown> {
  const known = parse(readFileSync(join(chart, 'values.yaml'), 'utf8')) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => name in known)
      .map(([name, value]) => [name, isSection(value) ? entriesOf(value, known[name]) : value]),
  );
}

function entriesOf(section: Record<string, unknown>, known: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(section).filter(([name]) => isSection(known) && name in known));
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
