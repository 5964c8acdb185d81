/** Bad input everywhere a user types: one clear sentence saying what is wrong and what to do. */
import { afterAll, describe, expect, it } from 'vitest';
import { bankManifest, conditionOf, kubectl, run, tryKubectl } from './platform.ts';

describe('a Bank that can be known to be wrong', () => {
  it.each<[string, string, Record<string, unknown>, RegExp]>([
    ['an id with upper case', 'e2e-bad', { id: 'Acme' }, /spec\.id/],
    ['an id of 41 characters', 'e2e-bad', { id: 'a'.repeat(41) }, /spec\.id.*(40|long)/],
    [
      'a name that is no id',
      'e2e.bad',
      {},
      /metadata\.name is the bank's id, so it must be a DNS label of at most 40 characters/,
    ],
    ['an unknown type', 'e2e-bad', { type: 'family' }, /spec\.type.*"personal", "business"/],
    ['an unknown toolset', 'e2e-bad', { toolsets: ['magic'] }, /spec\.toolsets/],
    ['two vaults with one id', 'e2e-bad', { vaults: [{ id: 'a' }, { id: 'a' }] }, /Duplicate value/],
  ])('%s is refused at once', async (_sentence, name, spec, message) => {
    const ran = await tryKubectl(['apply', '-f', '-'], bankManifest(name, spec));
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(message);
  });

  it('a changed id is refused with the reason', async () => {
    await kubectl(['apply', '-f', '-'], bankManifest('e2e-moved', { id: 'e2e-moved', suspend: true }));
    const ran = await tryKubectl(
      ['apply', '-f', '-'],
      bankManifest('e2e-moved', { id: 'e2e-elsewhere', suspend: true }),
    );
    expect(ran.stderr).toContain('spec.id never changes');
    await kubectl(['delete', 'bank', 'e2e-moved', '-n', 'banks', '--timeout=60s']);
  });
});

describe('a Bank that only the cluster can judge', () => {
  const names = ['e2e-classless', 'e2e-first', 'e2e-second'];
  afterAll(() => tryKubectl(['delete', 'bank', ...names, '-n', 'banks', '--ignore-not-found', '--timeout=60s']));

  it('of an unknown class says so, and names no other (K13)', async () => {
    await kubectl(['apply', '-f', '-'], bankManifest('e2e-classless', { className: 'golden' }));
    const condition = await conditionOf('e2e-classless', 'Accepted', 'False');
    expect(condition.message).toMatch(/golden/);
    expect(condition.message).not.toMatch(/default/);
  });

  it('with the id of another is refused, without a word about whose it is (K13)', async () => {
    await kubectl(['apply', '-f', '-'], bankManifest('e2e-first', { id: 'e2e-shared' }));
    await conditionOf('e2e-first', 'Accepted', 'True');
    await kubectl(['apply', '-f', '-'], bankManifest('e2e-second', { id: 'e2e-shared' }));
    const condition = await conditionOf('e2e-second', 'Accepted', 'False');
    expect(condition).toMatchObject({ reason: 'IdTaken' });
    expect(condition.message).not.toMatch(/e2e-first/);
  });
});

describe('the command line', () => {
  it.each<[string, string[], number, RegExp]>([
    ['a bank that does not exist', ['token', 'e2e-nobody'], 1, /e2e-nobody.*acme/s],
    ['a vault that does not exist', ['token', 'acme', '--vault', 'attic'], 1, /attic/],
    ['a time that is none', ['token', 'acme', '--ttl', 'tomorrow'], 2, /tomorrow.*24h/s],
    ['more than 48 hours', ['token', 'acme', '--vault', 'sales', '--ttl', '49h'], 1, /48/],
    ['a scope that is none', ['token', 'acme', '--scope', 'everything'], 1, /everything.*mcp:read/s],
    ['no bank', ['token'], 2, /bank/i],
    ['an unknown command', ['tokn'], 2, /tokn/],
  ])('%s', async (_sentence, args, code, message) => {
    const ran = await run('npx', ['bankhouse', ...args]);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: '' });
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr).not.toMatch(/\n\s+at /);
  });
});
