import { generateKeyPairSync } from 'node:crypto';
import { loadConfig } from '@bankhouse/core';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../src/config.ts';

const ec = (namedCurve: string, type: 'pkcs8' | 'sec1' = 'pkcs8') =>
  generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type, format: 'pem' }).toString();

const good = {
  FRONT_DOOR_URL: 'https://mcp.example.com',
  DATABASE_URL: 'postgres://bankhouse_control@db:5432/bankhouse',
  SIGNING_KEY: ec('P-256'),
  ADMIN_KEY: 'a'.repeat(32),
  VERIFIER_KEY: 'v'.repeat(32),
};

describe('the configuration of control', () => {
  it.each([
    ['PKCS #8', ec('P-256')],
    ['SEC 1', ec('P-256', 'sec1')],
  ])('takes an EC P-256 key as %s', (_form, SIGNING_KEY) => {
    expect(loadConfig(configSchema, { ...good, SIGNING_KEY }).SIGNING_KEY.asymmetricKeyType).toBe('ec');
  });

  it.each<[string, Record<string, string | undefined>, RegExp]>([
    ['no DATABASE_URL', { DATABASE_URL: undefined }, /DATABASE_URL is not set: .*postgres:\/\//],
    ['no signing key', { SIGNING_KEY: undefined }, /SIGNING_KEY is not set: .*openssl/],
    ['a key on another curve', { SIGNING_KEY: ec('P-384') }, /SIGNING_KEY is wrong: .*EC P-256/],
    ['a key that is no PEM', { SIGNING_KEY: 'c2VjcmV0' }, /SIGNING_KEY is wrong: .*EC P-256/],
    ['a short admin key', { ADMIN_KEY: 'secret' }, /ADMIN_KEY is wrong: .*32/],
    ['a verifier key with a space', { VERIFIER_KEY: `${'v'.repeat(32)} x` }, /VERIFIER_KEY is wrong/],
    ['a front door with a path', { FRONT_DOOR_URL: 'https://x/y' }, /FRONT_DOOR_URL is wrong/],
    ['a proxy that is a name', { TRUSTED_PROXIES: 'traefik' }, /TRUSTED_PROXIES is wrong: .*10\.0\.0\.0\/8/],
    ['a network that is too long', { TRUSTED_PROXIES: '10.0.0.0/33' }, /TRUSTED_PROXIES is wrong/],
    ['a port that is none', { PORT: 'http' }, /PORT is wrong: .*port/],
  ])('%s is one sentence without the value', (_sentence, changes, message) => {
    const env = { ...good, ...changes };
    expect(() => loadConfig(configSchema, env)).toThrow(message);
    expect(() => loadConfig(configSchema, env)).not.toThrow(/c2VjcmV0|secret/);
  });
});
