import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SECRET_DATABASE_URL, SECRET_SEAL_KEYS } from '@bankhouse/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { removeFolder } from '../../test/harness/at-end.ts';
import { openSecrets, type Secrets } from '../src/secrets.ts';

const FIRST = 'postgres://role:password@db.example.com:5432/bankhouse';
const OWN = 'postgres://role:password@db.example.com:5432/bank_1';

describe('a bank that was moved into another database', () => {
  let dir: string;
  let now = 0;
  let secrets: Secrets;
  const write = (url: string) => writeFileSync(join(dir, SECRET_DATABASE_URL), url);
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'bankhouse-secrets-'));
    write(FIRST);
    writeFileSync(join(dir, SECRET_SEAL_KEYS), JSON.stringify({ 1: Buffer.alloc(32).toString('base64') }));
    secrets = openSecrets(dir, { now: () => now });
    return () => removeFolder(dir);
  });

  it('is found there with the login that it has', () => {
    secrets.movedTo('postgres://db.example.com:5432/bank_1');
    expect(secrets.databaseUrl()).toBe(OWN);
  });

  it('is on another server, with what that wants of a connection', () => {
    secrets.movedTo('postgres://other.example.com:6432/bankhouse?sslmode=verify-full');
    expect(secrets.databaseUrl()).toBe('postgres://role:password@other.example.com:6432/bankhouse?sslmode=verify-full');
  });

  it('is where the file says, once that says another URL than then', () => {
    secrets.movedTo('postgres://db.example.com:5432/bank_1');
    write(`${OWN}?application_name=x`);
    now += 1_000;
    expect(secrets.databaseUrl()).toBe(`${OWN}?application_name=x`);
  });

  it('is where it was before, when it is moved back', () => {
    secrets.movedTo('postgres://db.example.com:5432/bank_1');
    secrets.movedTo('postgres://db.example.com:5432/bankhouse');
    expect(secrets.databaseUrl()).toBe(FIRST);
  });
});
