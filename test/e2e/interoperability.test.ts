/** Another implementation of MCP, Python's, does what ours does. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { platform, ROOT, run, STATE, sampleBank } from './platform.ts';
import { sampleManifest } from './samples.ts';

const VENV = join(STATE, 'python');
const MCP_VERSION = '2.3.0';

describe("Python's mcp client", () => {
  beforeAll(async () => {
    const stamp = join(VENV, `mcp-${MCP_VERSION}`);
    if (existsSync(stamp)) return;
    for (const [program, args] of [
      ['python3', ['-m', 'venv', '--clear', VENV]],
      [join(VENV, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', `mcp==${MCP_VERSION}`]],
      ['touch', [stamp]],
    ] as const) {
      const ran = await run(program, args);
      if (ran.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${ran.stderr}`);
    }
  });

  it.each([0, 1])('lists the tools and all calls of sample bank %i, and writes', async (index) => {
    const bank = sampleBank(index);
    const manifest = sampleManifest(bank.id);
    const [word, count] = [...manifest.words][0] ?? ['', 0];
    const ran = await run(join(VENV, 'bin/python'), [join(ROOT, 'test/e2e/client.py'), bank.url, word], {
      env: { BANK_TOKEN: bank.token, SSL_CERT_FILE: platform.caFile },
    });
    expect(ran.stderr.split('\n').filter((line) => line.includes('Traceback'))).toEqual([]);
    expect(JSON.parse(ran.stdout)).toEqual({
      tools: expect.arrayContaining(['batch', 'list_recordings', 'process_chat_message', 'query', 'search_recordings']),
      task: ['From Python', 1],
      recordings: manifest.total,
      found: count,
    });
  });
});
