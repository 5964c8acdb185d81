/** R0.4: the chart is what the API server accepts, and what runs passes the strictest pod security standard. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BIN, ROOT, run, SYSTEM_NAMESPACE, tryKubectl } from './platform.ts';

const CHART = join(ROOT, 'charts/bankhouse');

describe('the chart', () => {
  it('renders to manifests that the API server accepts', async () => {
    const rendered = await run(join(BIN, 'helm'), [
      'template',
      'dry-run',
      CHART,
      '--namespace',
      SYSTEM_NAMESPACE,
      '--include-crds',
      '--set',
      'frontDoor.url=https://mcp.example.com',
    ]);
    expect(rendered.stderr).toBe('');
    const applied = await tryKubectl(['apply', '--dry-run=server', '-f', '-'], rendered.stdout);
    expect(applied).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/error|warning/i) });
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
