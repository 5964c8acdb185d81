import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorUrlAt, ownerUrlAt, serverPassword } from '../src/index.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bankhouse-servers-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function secret(name: string, keys: Record<string, string>): void {
  mkdirSync(join(dir, name), { recursive: true });
  for (const [key, value] of Object.entries(keys)) writeFileSync(join(dir, name, key), value);
}

const APP = { host: 'eu-rw', port: '5433', dbname: 'app', username: 'app', password: 'p@ss/word' };
const password = serverPassword('of-the-operator', 'eu');

describe('a further server', () => {
  test.each([
    {
      sentence: 'is as its Secret says',
      keys: APP,
      server: {},
      owner: 'postgres://app:p%40ss%2Fword@eu-rw:5433/app',
      operator: `postgres://bankhouse_operator:${password}@eu-rw:5433/bankhouse`,
    },
    {
      sentence: 'has the host and the parameters that the chart says',
      keys: APP,
      server: { host: 'eu-rw.databases.svc', parameters: 'sslmode=verify-full' },
      owner: 'postgres://app:p%40ss%2Fword@eu-rw.databases.svc:5433/app?sslmode=verify-full',
      operator: `postgres://bankhouse_operator:${password}@eu-rw.databases.svc:5433/bankhouse?sslmode=verify-full`,
    },
    {
      sentence: 'has the usual port and database where its Secret says none, and line feeds do no harm',
      keys: { host: '10.1.2.3\n', username: 'app\n', password: 'x\n' },
      server: {},
      owner: 'postgres://app:x@10.1.2.3:5432/bankhouse',
      operator: `postgres://bankhouse_operator:${password}@10.1.2.3:5432/bankhouse`,
    },
    {
      sentence: "without the owner's password is the operator's alone",
      keys: { host: 'eu-rw', username: 'app' },
      server: {},
      owner: undefined,
      operator: `postgres://bankhouse_operator:${password}@eu-rw:5432/bankhouse`,
    },
    {
      sentence: 'without a host is nowhere',
      keys: { ...APP, host: '' },
      server: {},
      owner: undefined,
      operator: undefined,
    },
    {
      sentence: 'with a host that is none is nowhere',
      keys: { ...APP, host: 'a b' },
      server: {},
      owner: undefined,
      operator: undefined,
    },
    { sentence: 'without a Secret is nowhere', keys: {}, server: {}, owner: undefined, operator: undefined },
  ])('$sentence', ({ keys, server, owner, operator }) => {
    rmSync(join(dir, 'eu'), { recursive: true, force: true });
    secret('eu', keys);
    expect(ownerUrlAt({ name: 'eu', ...server }, dir)).toBe(owner);
    expect(operatorUrlAt({ name: 'eu', ...server }, dir, 'of-the-operator')).toBe(operator);
  });

  test('has a password of its own, which follows the one at home', () => {
    const all = [password, serverPassword('of-the-operator', 'us'), serverPassword('another', 'eu')];
    expect(new Set(all).size).toBe(3);
    expect(password).toMatch(/^[\w-]{32}$/);
  });
});
