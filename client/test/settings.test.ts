import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GlobalOptions, loadSettings } from '../src/cli/settings.ts';

const root = mkdtempSync(join(tmpdir(), 'bankhouse-settings-'));
const empty = mkdtempSync(join(tmpdir(), 'bankhouse-settings-'));
const inside = join(root, 'a/b');

beforeAll(() => {
  mkdirSync(join(root, '.cluster'));
  mkdirSync(inside, { recursive: true });
  writeFileSync(
    join(root, '.cluster/platform.json'),
    JSON.stringify({ frontDoor: 'https://localhost:8443', caFile: '.cluster/ca.pem' }),
  );
  writeFileSync(join(root, '.cluster/admin-key'), 'local-admin-key\n');
  writeFileSync(join(root, '.cluster/admin-url'), 'http://198.18.255.2:30433\n');
  writeFileSync(join(empty, 'key'), 'other-admin-key');
});
afterAll(() => {
  for (const folder of [root, empty]) rmSync(folder, { recursive: true });
});

describe('which platform is meant', () => {
  it.each<[string, string, GlobalOptions, Record<string, string>, { url: string; caFile?: string; key?: string }]>([
    [
      'the local one, from a folder below',
      inside,
      {},
      {},
      { url: 'https://localhost:8443', caFile: join(root, '.cluster/ca.pem'), key: 'local-admin-key' },
    ],
    [
      'the local one, named',
      root,
      { url: 'https://localhost:8443/' },
      {},
      { url: 'https://localhost:8443', caFile: join(root, '.cluster/ca.pem'), key: 'local-admin-key' },
    ],
    [
      'another one: nothing of the local one is used',
      root,
      { url: 'https://mcp.example.com' },
      {},
      { url: 'https://mcp.example.com' },
    ],
    [
      'by environment',
      empty,
      {},
      { BANKHOUSE_URL: 'https://mcp.example.com', BANKHOUSE_ADMIN_KEY_FILE: 'key' },
      { url: 'https://mcp.example.com', key: 'other-admin-key' },
    ],
    [
      'a flag before the environment',
      empty,
      { url: 'https://a' },
      { BANKHOUSE_URL: 'https://b' },
      { url: 'https://a' },
    ],
  ])('%s', (_sentence, cwd, options, env, expected) => {
    const settings = loadSettings(options, env, cwd);
    expect({ url: settings.url, caFile: settings.caFile }).toEqual({ url: expected.url, caFile: expected.caFile });
    if (expected.key === undefined) expect(() => settings.adminKey()).toThrow(/no admin key: name its file/);
    else expect(settings.adminKey()).toBe(expected.key);
  });

  it('takes the admin key to the local port for it, to the one that is named, and never to the front door (G10)', () => {
    expect(loadSettings({}, {}, inside).adminUrl()).toBe('http://198.18.255.2:30433');
    const env = { BANKHOUSE_URL: 'https://mcp.example.com', BANKHOUSE_ADMIN_URL: 'http://127.0.0.1:8081' };
    expect(loadSettings({}, env, root).adminUrl()).toBe('http://127.0.0.1:8081');
    expect(() => loadSettings({ url: 'https://mcp.example.com' }, {}, root).adminUrl()).toThrow(/port-forward/);
  });

  it.each<[string, GlobalOptions, RegExp]>([
    ['none', {}, /There is no platform: run "make up"/],
    ['no URL', { url: 'localhost' }, /"localhost" is no front door/],
    ['a path', { url: 'https://x/mcp' }, /is no front door/],
    ['another scheme', { url: 'ftp://x' }, /is no front door/],
  ])('%s is refused', (_sentence, options, message) => {
    expect(() => loadSettings(options, {}, empty)).toThrow(message);
  });
});
