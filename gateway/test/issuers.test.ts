/** Which keys count: of our own issuer and of foreign ones, while they rotate, and while they are away. */
import { BUILT_IN_CATALOGUE, bankResourcesAt, createLogger, loadConfig } from '@bankhouse/core';
import { exportJWK, generateKeyPair } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { goodClaims, signToken } from '../../test/harness/bad-requests.ts';
import { NAMESPACE } from '../../test/harness/routed.ts';
import { Authenticator } from '../src/authentication/authenticator.ts';
import { KeySet } from '../src/authentication/key-set.ts';
import { configSchema, issuersOf, Revocations } from '../src/index.ts';
import { FRONT_DOOR, ROOT_KEY, seconds, startIssuer } from './support.ts';

const logger = createLogger({ component: 'test', level: 'silent' });
const at = bankResourcesAt(FRONT_DOOR, () => BUILT_IN_CATALOGUE);
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function issuerFor(name = FRONT_DOOR) {
  const issuer = await startIssuer(name);
  closing.push(issuer.close);
  return issuer;
}

/** Where the banks of these tests are. */
const NAMESPACES: Record<string, string> = { acme: NAMESPACE, globex: NAMESPACE, other: 'elsewhere' };

async function authenticatorFor(...issuers: { issuer: string; [more: string]: unknown }[]) {
  const config = loadConfig(configSchema, {
    FRONT_DOOR_URL: FRONT_DOOR,
    ROOT_KEY: ROOT_KEY.toString('base64'),
    DATABASE_URL: 'postgres://nobody@localhost/nothing',
    TRUSTED_ISSUERS: JSON.stringify(
      issuers.map((one) => (one.issuer === FRONT_DOOR ? one : { banks: [`${NAMESPACE}/*`], ...one })),
    ),
  });
  const revocations = new Revocations(10_000);
  revocations.confirm(performance.now());
  const clock = { seconds: seconds(), ms: 0 };
  const namespaces = { ...NAMESPACES };
  const authenticator = new Authenticator({
    frontDoor: FRONT_DOOR,
    issuers: issuersOf(config),
    revocations,
    namespaceOf: (bank) => namespaces[bank],
    logger,
    now: () => clock.seconds,
    elapsed: () => clock.ms,
  });
  closing.push(() => authenticator.stop());
  await authenticator.start();
  return Object.assign(authenticator, { clock, namespaces });
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  );

describe('a foreign issuer', () => {
  const NAME = 'https://id.example.com/realm';

  it.each([
    ['claim', undefined, []],
    ['claim', ['sales'], ['sales']],
    ['all', undefined, null],
    ['all', ['sales'], ['sales']],
    [undefined, undefined, []],
  ])('with vaults=%s and vault_ids %j opens %j', async (vaults, vault_ids, expected) => {
    const issuer = await issuerFor(NAME);
    const authenticator = await authenticatorFor({ issuer: NAME, jwksUrl: issuer.url, vaults });
    const caller = await authenticator.authenticate(`Bearer ${await issuer.token({ vault_ids })}`, at('acme'));
    expect(caller.vaults).toEqual(expected);
  });

  it('may sign with RS256 as typ JWT and name its client azp, where its configuration says so', async () => {
    const issuer = await issuerFor(NAME);
    const rsa = await generateKeyPair('RS256');
    issuer.published.keys.push({ ...(await exportJWK(rsa.publicKey)), kid: 'rsa' });
    const { client_id: azp, ...claims } = goodClaims(issuer.context());
    const token = await signToken(rsa.privateKey, { alg: 'RS256', typ: 'JWT', kid: 'rsa' }, { ...claims, azp });
    const strict = await authenticatorFor({ issuer: NAME, jwksUrl: issuer.url });
    expect(await codeOf(strict.authenticate(`Bearer ${token}`, at('acme')))).toBe('token_type');
    const open = await authenticatorFor({ issuer: NAME, jwksUrl: issuer.url, types: ['JWT'], algorithms: ['RS256'] });
    expect((await open.authenticate(`Bearer ${token}`, at('acme'))).claims.client_id).toBe(azp);
    expect(
      await codeOf(open.authenticate(`Bearer ${await issuer.token({}, 'acme', { typ: 'JWT' })}`, at('acme'))),
    ).toBe('token_algorithm');
  });

  it("can't sign for another one", async () => {
    const own = await issuerFor();
    const foreign = await issuerFor(NAME);
    const authenticator = await authenticatorFor(
      { issuer: FRONT_DOOR, jwksUrl: own.url },
      { issuer: NAME, jwksUrl: foreign.url },
    );
    expect(
      await codeOf(
        authenticator.authenticate(
          `Bearer ${await foreign.token({ iss: FRONT_DOOR, iat: seconds() - 120 })}`,
          at('acme'),
        ),
      ),
    ).toBe('token_key');
  });

  it('that is away keeps neither its own tokens waiting with a 401, nor others from working', async () => {
    const own = await issuerFor();
    const foreign = await issuerFor(NAME);
    foreign.state.isDown = true;
    const authenticator = await authenticatorFor(
      { issuer: FRONT_DOOR, jwksUrl: own.url },
      { issuer: NAME, jwksUrl: foreign.url },
    );
    expect(authenticator.isReady).toBe(true);
    expect(await codeOf(authenticator.authenticate(`Bearer ${await own.token()}`, at('acme')))).toBe('accepted');
    expect(await codeOf(authenticator.authenticate(`Bearer ${await foreign.token()}`, at('acme')))).toBe(
      'issuer_unreachable',
    );
  });

  it('is our own: without its keys the gateway is not ready', async () => {
    const own = await issuerFor();
    own.state.isDown = true;
    expect((await authenticatorFor({ issuer: FRONT_DOOR, jwksUrl: own.url })).isReady).toBe(false);
  });
});

describe('G1: a foreign issuer is trusted', () => {
  const NAME = 'https://id.example.com/realm';
  it.each<[string, string[], string, string]>([
    ['for a bank that it names', ['banks/acme'], 'acme', 'accepted'],
    ['for no other bank of the namespace', ['banks/acme'], 'globex', 'token_issuer'],
    ['for the banks of a namespace that it names', ['banks/*'], 'globex', 'accepted'],
    ['for none of another namespace', ['banks/*'], 'other', 'token_issuer'],
    ['not for a bank of this id in another namespace', ['elsewhere/acme'], 'acme', 'token_issuer'],
    ['not for a bank whose id only begins so', ['banks/other'], 'other', 'token_issuer'],
    ['not for a namespace whose name only begins so', ['bank/*'], 'acme', 'token_issuer'],
    ['not for a bank that is not there, as for one that is not its own', ['banks/*'], 'nobody', 'token_issuer'],
  ])('%s', async (_name, banks, bank, expected) => {
    const issuer = await issuerFor(NAME);
    const authenticator = await authenticatorFor({ issuer: NAME, jwksUrl: issuer.url, banks });
    expect(await codeOf(authenticator.authenticate(`Bearer ${await issuer.token({}, bank)}`, at(bank)))).toBe(expected);
  });

  it('no longer, once the id has passed to another namespace: open calls end too', async () => {
    const issuer = await issuerFor(NAME);
    const authenticator = await authenticatorFor({ issuer: NAME, jwksUrl: issuer.url, banks: ['banks/acme'] });
    const token = `Bearer ${await issuer.token()}`;
    const caller = await authenticator.authenticate(token, at('acme'));
    authenticator.namespaces.acme = 'elsewhere';
    expect(() => authenticator.confirm(caller, 'acme')).toThrow(/issuer that is not trusted/);
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('token_issuer');
  });

  it.each<[string, string[] | undefined, string, string[]]>([
    ['all that callers have', undefined, 'mcp:write mcp:read', ['mcp:read', 'mcp:write']],
    ['what its configuration caps it to', ['mcp:read'], 'mcp:read mcp:write', ['mcp:read']],
    ["never the operator's handshake", undefined, 'mcp:verify mcp:read', ['mcp:read']],
    ['nothing that it was not asked for', ['mcp:write'], 'mcp:read', []],
  ])('to give %s', async (_name, scopes, scope, expected) => {
    const issuer = await issuerFor(NAME);
    const authenticator = await authenticatorFor({ issuer: NAME, jwksUrl: issuer.url, scopes });
    const caller = await authenticator.authenticate(`Bearer ${await issuer.token({ scope })}`, at('acme'));
    expect(caller.scopes).toEqual(expected);
  });
});

describe('a token that was accepted', () => {
  it('is refused once it expires, 5 seconds of leeway included', async () => {
    const issuer = await issuerFor();
    const authenticator = await authenticatorFor({ issuer: FRONT_DOOR, jwksUrl: issuer.url });
    const token = `Bearer ${await issuer.token({ exp: authenticator.clock.seconds + 10 })}`;
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('accepted');
    authenticator.clock.seconds += 14;
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('accepted');
    authenticator.clock.seconds += 1;
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('token_expired');
  });

  it('is refused once its issuer no longer publishes the key', async () => {
    const issuer = await issuerFor();
    const authenticator = await authenticatorFor({ issuer: FRONT_DOOR, jwksUrl: issuer.url });
    const token = `Bearer ${await issuer.token()}`;
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('accepted');
    const caller = await authenticator.authenticate(token, at('acme'));
    issuer.published.keys = issuer.published.keys.map((key) => ({ ...key, kid: 'next' }));
    authenticator.clock.ms = 10_001;
    const unknown = `Bearer ${await issuer.token({}, 'acme', { kid: 'unknown' })}`;
    expect(await codeOf(authenticator.authenticate(unknown, at('acme')))).toBe('token_key');
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('token_key');
    expect(() => authenticator.confirm(caller, 'acme')).toThrow(/not signed with a key of its issuer/);
  });

  it('is refused by another bank all the same (R1.5)', async () => {
    const issuer = await issuerFor();
    const authenticator = await authenticatorFor({ issuer: FRONT_DOOR, jwksUrl: issuer.url });
    const token = `Bearer ${await issuer.token()}`;
    expect(await codeOf(authenticator.authenticate(token, at('acme')))).toBe('accepted');
    expect(await codeOf(authenticator.authenticate(token, at('globex')))).toBe('token_audience');
  });
});

describe('a key set', () => {
  async function keySet() {
    const issuer = await issuerFor();
    const clock = { ms: 0 };
    const keys = new KeySet({ url: issuer.url, logger, now: () => clock.ms });
    closing.push(() => keys.stop());
    await keys.start();
    const kid = issuer.context().kid;
    return { issuer, keys, clock, kid };
  }

  it('asks again for an unknown key, but not within 10 seconds, and once for many at a time', async () => {
    const { issuer, keys, clock } = await keySet();
    const ask = () => codeOf(keys.get({ alg: 'ES256', kid: 'new' }, 0));
    for (let i = 0; i < 5; i++) expect(await ask()).toBe('issuer_keys_stale');
    expect(issuer.state.loads).toBe(1);
    clock.ms = 10_001;
    expect(await Promise.all([ask(), ask(), ask()])).toEqual(['token_key', 'token_key', 'token_key']);
    expect(issuer.state.loads).toBe(2);
  });

  it('forgets a key that is no longer published, and learns the new one', async () => {
    const { issuer, keys, clock, kid } = await keySet();
    expect(keys.has(kid)).toBe(true);
    issuer.published.keys = issuer.published.keys.map((key) => ({ ...key, kid: 'next' }));
    clock.ms = 10_001;
    expect(await codeOf(keys.get({ alg: 'ES256', kid: 'next' }, 0))).toBe('accepted');
    expect(keys.has(kid)).toBe(false);
  });

  it('G11: says within the 10 seconds that it does not know, and when to ask again', async () => {
    const { keys, clock } = await keySet();
    clock.ms = 4_000;
    await expect(keys.get({ alg: 'ES256', kid: 'new' }, 0)).rejects.toMatchObject({
      code: 'issuer_keys_stale',
      retryAfter: 6,
    });
  });

  it.each([
    ['is refused: it is older than the load by more than a minute', 65, 'token_key'],
    ['may be new: its issuer may be a minute behind', 63, 'issuer_keys_stale'],
    ['may be new: it is of the future', -600, 'issuer_keys_stale'],
  ])('G11: within the 10 seconds, a token of an unknown key %s', async (_name, age, code) => {
    const { keys, clock } = await keySet();
    clock.ms = 4_000;
    expect(await codeOf(keys.get({ alg: 'ES256', kid: 'new' }, age))).toBe(code);
  });

  it('G11: refuses what was withdrawn without delay, and takes it again when it is published again', async () => {
    const { issuer, keys, clock, kid } = await keySet();
    const all = issuer.published.keys;
    issuer.published.keys = all.map((key) => ({ ...key, kid: 'next' }));
    clock.ms = 10_001;
    await keys.get({ alg: 'ES256', kid: 'next' }, 0);
    expect(await codeOf(keys.get({ alg: 'ES256', kid }, 0))).toBe('token_key');
    issuer.published.keys = all;
    clock.ms = 20_002;
    expect(await codeOf(keys.get({ alg: 'ES256', kid }, 0))).toBe('accepted');
  });

  it.each<[string, object[]]>([
    ['no key', []],
    ['none that can be used', [{ kty: 'oct', k: 'c2VjcmV0', kid: 'x' }]],
  ])('G11: is not replaced by one that has %s', async (_name, published) => {
    const { issuer, keys, clock, kid } = await keySet();
    issuer.published.keys = published;
    clock.ms = 10_001;
    expect(await codeOf(keys.get({ alg: 'ES256', kid: 'unknown' }, 0))).toBe('token_key');
    expect(issuer.state.loads).toBe(2);
    expect(await codeOf(keys.get({ alg: 'ES256', kid }, 0))).toBe('accepted');
  });

  it('stays as it was while the issuer is away', async () => {
    const { issuer, keys, clock, kid } = await keySet();
    issuer.state.isDown = true;
    clock.ms = 10_001;
    expect(await codeOf(keys.get({ alg: 'ES256', kid: 'unknown' }, 0))).toBe('token_key');
    expect(await codeOf(keys.get({ alg: 'ES256', kid }, 0))).toBe('accepted');
  });

  it.each([
    ['a symmetric key', { kty: 'oct', k: 'c2VjcmV0', kid: 'x' }, 'HS256'],
    ['a key for encryption', { use: 'enc', kid: 'x' }, 'ES256'],
    ['a key for another algorithm', { alg: 'ES384', kid: 'x' }, 'ES256'],
    ['an EC key for RS256', { kid: 'x', alg: undefined }, 'RS256'],
  ])('never gives out %s', async (_name, change, alg) => {
    const { issuer, keys, clock } = await keySet();
    issuer.published.keys.push({ ...issuer.published.keys[0], ...change });
    clock.ms = 10_001;
    expect(await codeOf(keys.get({ alg, kid: 'x' }, 0))).toBe('token_key');
  });
});
