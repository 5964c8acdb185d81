/** R3.12: `bankhouse embed`, on a real Postgres and a real endpoint. */
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/src/cli/run.ts';
import { createBank, startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader } from '../server/support.ts';
import { type Endpoint, startEndpoint } from './endpoint.ts';
import { addRecording, mayAll, runSemanticBank, search, stored } from './support.ts';

const KEY = 'sk-test-0123456789abcdef';

let postgres: TestPostgres;
let endpoint: Endpoint;
beforeAll(async () => {
  postgres = await startPostgres();
  endpoint = await startEndpoint();
  await createBank(postgres, 'acme', { vaults: [{ id: 'sales', displayName: 'Sales' }] });
  for (let index = 0; index < 30; index++) {
    await addRecording(postgres, 'acme', {
      title: `call ${index}`,
      vaults: ['sales'],
      startedAt: `2026-0${index < 20 ? 1 : 6}-01T10:00:00Z`,
      said: [`words of call ${index}`, index === 7 ? 'poison' : 'and more'],
    });
  }
});
beforeEach(() => {
  endpoint.fault = undefined;
  endpoint.sent.length = 0;
});
afterAll(async () => {
  await endpoint?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

async function cli(args: readonly string[], env: Record<string, string> = {}) {
  let stderr = '';
  const code = await runCli(['embed', ...args], {
    env: {
      DATABASE_URL: postgres.ownerUrl,
      EMBEDDINGS_URL: endpoint.url,
      EMBEDDINGS_MODEL: 'words-1',
      EMBEDDINGS_KEY: KEY,
      ...env,
    },
    cwd: tmpdir(),
    out: () => {},
    err: (text) => {
      stderr += text;
    },
  });
  return { code, stderr };
}

describe('bankhouse embed', () => {
  it('counts what it would send, and sends nothing', async () => {
    const { code, stderr } = await cli(['acme', '--dry-run']);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/30 items to embed: 60 inputs, \d+ characters/),
    });
    expect(endpoint.sent).toEqual([]);
  });

  it('embeds what began since a day, then the rest, then nothing', async () => {
    expect((await cli(['acme', '--since', '2026-06-01'])).stderr).toMatch(/10 items embedded: 20 inputs/);
    expect(endpoint.sent.at(-1)?.authorization).toBe(`Bearer ${KEY}`);
    expect((await cli(['acme', '--concurrency', '2'])).stderr).toMatch(/20 items embedded: 40 inputs/);
    expect(await stored(postgres, 'acme')).toHaveLength(60);
    expect((await cli(['acme'])).stderr).toMatch(/everything is embedded already/);
  });

  it('leaves nothing to do for the server, which finds it', async () => {
    const bank = await runSemanticBank(postgres, 'served', endpoint);
    await addRecording(postgres, 'served', { title: 'zebra', vaults: ['sales'], said: ['stripes'] });
    expect((await cli(['served'])).code).toBe(0);
    endpoint.sent.length = 0;
    await using client = await bank.connect('modern', mayAll());
    expect((await search(client, 'zebra')).results).toMatchObject([{ title: 'zebra' }]);
    expect(endpoint.texts()).toEqual(['zebra']);
    await bank[Symbol.asyncDispose]();
  });

  it('that was ended by the endpoint keeps what it had, says so, and goes on the next time', async () => {
    await asLoader(postgres, (sql) => sql.query('delete from bank.embeddings'));
    // One answer says how long vectors are, one embeds.
    endpoint.fault = { kind: 'status', status: 401, after: 2, message: `bad key ${KEY}` };
    const { code, stderr } = await cli(['acme', '--concurrency', '1']);
    expect((await stored(postgres, 'acme')).length).toBeGreaterThan(0);
    expect(stderr).toMatch(/refuses the key \(HTTP 401\)\. \d+ of 30 items are done and kept; run it again to go on/);
    expect(code).toBe(1);
    expect(stderr).not.toContain(KEY);
    endpoint.fault = undefined;
    expect((await cli(['acme'])).stderr).toMatch(/items embedded/);
    expect(await stored(postgres, 'acme')).toHaveLength(60);
  });

  it('names what the endpoint rejects, and embeds the others', async () => {
    await asLoader(postgres, (sql) => sql.query('delete from bank.embeddings'));
    endpoint.fault = { kind: 'poison', word: 'poison' };
    const { code, stderr } = await cli(['acme']);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /recording [0-9a-f-]{36}: The embeddings endpoint rejects the request \(HTTP 400\)\. It says: too many tokens/,
    );
    expect(stderr).toMatch(/29 items embedded: 58 inputs, \d+ characters; 1 rejected by the endpoint/);
  });

  it.each<[string, string[], Record<string, string>, number, RegExp]>([
    [
      'no endpoint',
      ['acme'],
      { EMBEDDINGS_URL: '', EMBEDDINGS_MODEL: '' },
      2,
      /There is no endpoint: set EMBEDDINGS_URL/,
    ],
    ['no model', ['acme'], { EMBEDDINGS_MODEL: '' }, 1, /EMBEDDINGS_MODEL is not set/],
    ['a bank that is not there', ['nobody'], {}, 1, /There is no bank nobody; there are acme/],
    ['a date that is none', ['acme', '--since', 'yesterday'], {}, 2, /--since yesterday: give a date such as/],
    ['no requests at once', ['acme', '--concurrency', '0'], {}, 2, /--concurrency 0: give a whole number from 1 to 32/],
    ['an endpoint that is not there', ['acme'], { EMBEDDINGS_URL: 'http://127.0.0.1:9/v1' }, 1, /can't be reached/],
  ])('refuses %s in a sentence', async (_sentence, args, env, code, message) => {
    const ran = await cli(args, env);
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(code);
  });
});
