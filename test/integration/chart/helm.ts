import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

export const ROOT = new URL('../../..', import.meta.url).pathname;
export const CHART = join(ROOT, 'charts/bankhouse');
export const NAMESPACE = 'bankhouse-system';
const BIN = process.env.BANKHOUSE_BIN ?? join(ROOT, '.cluster/bin');

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs helm or kubectl as they were built for this project. */
export function run(
  program: 'helm' | 'kubectl',
  args: readonly string[],
  options: { input?: string; kubeconfig?: string } = {},
): Ran {
  const path = join(BIN, program);
  if (!existsSync(path)) throw new Error(`There is no ${program} in ${BIN}: run "make tools", or set BANKHOUSE_BIN.`);
  const { status, stdout, stderr } = spawnSync(path, args, {
    encoding: 'utf8',
    maxBuffer: 32 * 1024 * 1024,
    input: options.input ?? '',
    env: { PATH: process.env.PATH, HOME: process.env.HOME, KUBECONFIG: options.kubeconfig ?? '/nowhere' },
  });
  return { code: status, stdout, stderr };
}

/** `--set-json` of each value, so that types stay what they are. */
export function valuesOf(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`]);
}

export const GOOD = { 'frontDoor.url': 'https://mcp.example.com' };

export function template(values: Readonly<Record<string, unknown>>, release = 'bankhouse'): Ran {
  return run('helm', ['template', release, CHART, '--namespace', NAMESPACE, ...valuesOf(values)]);
}

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: Record<string, unknown>;
  [field: string]: unknown;
}

/** The objects of a template by `Kind/name`, or `Kind/namespace/name` where that is not the release's. */
export function render(values: Readonly<Record<string, unknown>> = {}): Map<string, Manifest> {
  const { code, stdout, stderr } = template({ ...GOOD, ...values });
  if (code !== 0) throw new Error(stderr);
  const objects = parseAllDocuments(stdout)
    .map((document) => document.toJSON() as Manifest | null)
    .filter((object) => object !== null);
  return new Map(objects.map((object) => [keyOf(object), object]));
}

function keyOf({ kind, metadata: { name, namespace = NAMESPACE } }: Manifest): string {
  return namespace === NAMESPACE ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;
}
