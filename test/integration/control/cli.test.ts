/** The command line against a running control: what it prints where, and its exit codes (R1.9). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/src/cli/run.ts';
import { createBank, startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { ADMIN_KEY, FRONT_DOOR, type Harness, startHarness } from './harness.ts';

let postgres: TestPostgres;
let control: Harness;
const folder = mkdtempSync(join(tmpdir(), 'bankhouse-cli-'));

beforeAll(async () => {
  writeFileSync(join(folder, 'admin-key'), `${ADMIN_KEY}\n`);
  writeFileSync(join(folder, 'wrong-key'), 'x'.repeat(32));
  postgres = await startPostgres();
  await createBank(postgres, 'acme', { displayName: 'Acme Inc.', vaults: [{ id: 'sales', displayName: 'Sales' }] });
  control = await startHarness(postgres);
  await control.ready;
});
afterAll(async () => {
  await control?.stop();
  await postgres?.stop();
  rmSync(folder, { recursive: true });
});

async function cli(args: readonly string[], env: Record<string, string> = {}) {
  let stdout = '';
  let stderr = '';
  const code = await runCli(args, {
    env: {
      BANKHOUSE_URL: FRONT_DOOR,
      BANKHOUSE_ADMIN_URL: control.apiUrl,
      BANKHOUSE_ADMIN_KEY_FILE: 'admin-key',
      ...env,
    },
    cwd: folder,
    out: (text) => {
      stdout += text;
    },
    err: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}

describe('bankhouse token', () => {
  it('prints the token and nothing else', async () => {
    const { code, stdout, stderr } = await cli([
      'token',
      'acme',
      '--vault',
      'sales',
      '--scope',
      'mcp:read',
      '--ttl',
      '1h',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const claims = decodeJwt(stdout.trim());
    expect(claims).toMatchObject({ aud: `${FRONT_DOOR}/mcp/bank-acme`, scope: 'mcp:read', vault_ids: ['sales'] });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(3600);
  });

  it('takes its options in front of the bank too', async () => {
    expect((await cli(['token', '--vault', 'sales', 'acme'])).code).toBe(0);
  });

  it('prints everything as JSON where asked', async () => {
    const { stdout } = await cli(['token', 'acme', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ url: `${FRONT_DOOR}/mcp/bank-acme`, vaults: null });
  });
});

describe('bankhouse', () => {
  it.each<[string, string[], Record<string, string>, number, RegExp]>([
    ['a bank that does not exist', ['token', 'nobody'], {}, 1, /There is no bank "nobody"; there are acme/],
    ['a vault that does not exist', ['token', 'acme', '--vault', 'attic'], {}, 1, /no vault "attic"; it has sales/],
    ['a time that is none', ['token', 'acme', '--ttl', 'tomorrow'], {}, 2, /"tomorrow".*24h/],
    ['more than 48 hours', ['token', 'acme', '--ttl', '49h'], {}, 1, /at most 172800 .*48 hours/],
    ['a scope that is none', ['token', 'acme', '--scope', 'everything'], {}, 1, /"everything".*mcp:read/],
    ['no bank', ['token'], {}, 2, /missing required argument 'bank'/],
    ['a second bank', ['token', 'acme', 'globex'], {}, 2, /too many arguments/i],
    ['an unknown command', ['tokn'], {}, 2, /unknown command 'tokn'/],
    ['an unknown option', ['token', 'acme', '--vaults', 'x'], {}, 2, /unknown option '--vaults'/],
    ['a client that is none', ['connect', 'acme', '--client', 'emacs'], {}, 2, /claude-code/],
    ['a snippet for no bank', ['connect', 'nobody'], {}, 2, /There is no bank "nobody"; there are acme/],
    ['an id that is none', ['connect', 'Acme'], {}, 2, /"Acme" is no bank's id/],
    ['arguments that are no JSON', ['call', 'acme', 'list_vaults', '{limit}'], {}, 2, /must be a JSON object/],
    ['neither token nor bank', ['revoke'], {}, 2, /either a token .* or a bank by --all/],
    ['a wrong admin key', ['banks'], { BANKHOUSE_ADMIN_KEY_FILE: 'wrong-key' }, 1, /not the admin key/],
    [
      'an admin key that is not there',
      ['banks'],
      { BANKHOUSE_ADMIN_KEY_FILE: 'no-key' },
      1,
      /The admin key in \S+no-key can't be read: /,
    ],
    ['a CA that is none', ['banks', '--ca-file', 'admin-key'], {}, 1, /is no PEM certificate/],
    [
      'an admin URL where nothing listens',
      ['banks', '--admin-url', 'http://127.0.0.1:1'],
      {},
      1,
      /127\.0\.0\.1:1 can't be reached/,
    ],
    [
      'nobody who takes the admin key (G10)',
      ['banks'],
      { BANKHOUSE_ADMIN_URL: '' },
      2,
      /port-forward service\/bankhouse-control 8081/,
    ],
    ['an admin URL that is none', ['banks', '--admin-url', 'localhost'], {}, 2, /"localhost" is no control's port/],
  ])('%s: one clear sentence', async (_sentence, args, env, code, message) => {
    const ran = await cli(args, env);
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: '' });
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr).not.toMatch(/\n\s+at /);
  });

  it('lists the banks', async () => {
    const { stdout } = await cli(['banks']);
    expect(stdout).toMatch(/^ID +TYPE +URL +VAULTS +NAME\nacme +business +\S+\/mcp\/bank-acme +sales +Acme Inc\.\n$/);
  });

  it('revokes a token, by itself and by its number, and all of a bank', async () => {
    const token = (await cli(['token', 'acme'])).stdout.trim();
    expect(await cli(['revoke', token])).toMatchObject({ code: 0, stdout: expect.stringMatching(/is revoked/) });
    expect((await control.get('/v1/banks', token)).status).toBe(401);
    expect((await cli(['revoke', 'some-number'])).stdout).toBe('The token some-number is revoked.\n');
    expect((await cli(['revoke', '--all', 'acme'])).stdout).toMatch(/Every token of acme/);
  });

  it('connects every client by its own snippet', async () => {
    const { code, stdout } = await cli(['connect', 'acme']);
    expect(code).toBe(0);
    for (const text of ['claude mcp add', 'codex mcp add', 'gemini mcp add', '.vscode/mcp.json', '.cursor/mcp.json']) {
      expect(stdout).toContain(text);
    }
    expect(stdout).not.toMatch(/ey[A-Za-z0-9]{10}.*\./);
  });
});
