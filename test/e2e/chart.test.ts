/** R0.4: the chart is what the API server accepts, and what runs passes the strictest pod security standard. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BIN, ROOT, run, SYSTEM_NAMESPACE, tryKubectl } from './platform.ts';

const CHART = join(ROOT, 'charts/bankhouse');

const render = (...settings: string[]) =>
  run(join(BIN, 'helm'), [
    'template',
    'dry-run',
    CHART,
    '--namespace',
    SYSTEM_NAMESPACE,
    '--set',
    'frontDoor.url=https://mcp.example.com',
    ...settings,
  ]);

describe('the chart', () => {
  it.each([
    // What is there already belongs to Helm, and client-side apply would warn that it has no annotation of its own.
    ['a second release beside the first', ['--set', 'bankClass.create=false'], []],
    ['everything, with the resource definitions', ['--include-crds'], ['--server-side', '--force-conflicts']],
  ])('renders to manifests that the API server accepts without a warning: %s', async (_sentence, settings, apply) => {
    const rendered = await render(...settings);
    expect(rendered.stderr).toBe('');
    const applied = await tryKubectl(['apply', '--dry-run=server', ...apply, '-f', '-'], rendered.stdout);
    expect(applied).toMatchObject({ code: 0, stderr: '' });
  });
});

describe.each([SYSTEM_NAMESPACE, 'banks'])('every pod in namespace %s', (namespace) => {
  it('passes the restricted pod security standard', async () => {
    const ran = await tryKubectl([
      'label',
      'namespace',
      namespace,
      '--dry-run=server',
      '--overwrite',
      'pod-security.kubernetes.io/enforce=restricted',
      'pod-security.kubernetes.io/enforce-version=latest',
    ]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
  });
});
