/** R3.12: what a caller hears when the endpoint fails, and what never leaks. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { call, callError, type RunningBank } from '../server/support.ts';
import { type Endpoint, type Fault, startEndpoint } from './endpoint.ts';
import { create, mayAll, runSemanticBank, search, stored } from './support.ts';

const KEY = 'sk-test-0123456789abcdef';

let postgres: TestPostgres;
let endpoint: Endpoint;
let bank: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  endpoint = await startEndpoint();
  bank = await runSemanticBank(postgres, 'faults', endpoint);
  bank.writeSecret('embeddings-key', KEY);
});
beforeEach(() => {
  endpoint.fault = undefined;
  endpoint.sent.length = 0;
});
afterAll(async () => {
  await bank?.[Symbol.asyncDispose]();
  await endpoint?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

describe('the endpoint', () => {
  it.each<[string, Fault, { retryable: boolean; text: RegExp; attempts: number }]>([
    [
      'stays overloaded',
      { kind: 'status', status: 429 },
      { retryable: true, text: /overloaded or broken \(HTTP 429\)\. Send the same call again/, attempts: 4 },
    ],
    [
      'asks to wait longer than a call may take',
      { kind: 'status', status: 429, retryAfter: '3600' },
      { retryable: true, text: /asks to wait 3600 seconds/, attempts: 1 },
    ],
    ['is broken', { kind: 'status', status: 500 }, { retryable: true, text: /HTTP 500/, attempts: 4 }],
    ['ends the connection', { kind: 'close' }, { retryable: true, text: /can't be reached/, attempts: 4 }],
    [
      'refuses the key, and repeats it',
      { kind: 'status', status: 401, message: `Incorrect API key provided: ${KEY}` },
      { retryable: false, text: /refuses the key \(HTTP 401\)\. An administrator must put the right key/, attempts: 1 },
    ],
    [
      'does not know the model, and repeats the key',
      { kind: 'status', status: 404, message: `no such model for ${KEY}` },
      {
        retryable: false,
        text: /rejects the request \(HTTP 404\)\. An administrator must compare embeddings\.url/,
        attempts: 1,
      },
    ],
    [
      'answers with no JSON',
      { kind: 'body', body: '<html>' },
      { retryable: false, text: /answered with something that is no JSON/, attempts: 1 },
    ],
    [
      'answers with something else',
      { kind: 'body', body: '{"ok":true}' },
      { retryable: false, text: /no list of vectors/, attempts: 1 },
    ],
    [
      'answers with too few vectors',
      { kind: 'body', body: '{"data":[]}' },
      { retryable: false, text: /0 vectors for 1 texts/, attempts: 1 },
    ],
    [
      'answers with zeros',
      { kind: 'body', body: '{"data":[{"index":0,"embedding":[0,0]}]}' },
      { retryable: false, text: /a vector without direction/, attempts: 1 },
    ],
    ['answers with far too much', { kind: 'huge' }, { retryable: false, text: /more than 16 MiB/, attempts: 1 }],
  ])('%s: the call fails with upstream_failed, says so and what to do', async (_sentence, fault, expected) => {
    await using client = await bank.connect('modern', mayAll());
    endpoint.fault = fault;
    const error = await callError(client, 'semantic_search', { query: 'anything' });
    expect(error).toMatchObject({ code: 'upstream_failed', retryable: expected.retryable });
    expect(error.text).toMatch(expected.text);
    expect(error.text).not.toContain(KEY);
    expect(endpoint.sent).toHaveLength(expected.attempts);
  });

  it('that is overloaded for a moment is asked again', async () => {
    await using client = await bank.connect('modern', mayAll());
    endpoint.fault = { kind: 'status', status: 503, times: 2, retryAfter: '0' };
    expect((await search(client, 'anything')).results).toEqual([]);
    expect(endpoint.sent).toHaveLength(3);
  });

  it('that answers with other dimensions than are configured is not believed', async () => {
    await using strict = await runSemanticBank(postgres, 'strict', endpoint, { EMBEDDINGS_DIMENSIONS: '32' });
    await using client = await strict.connect('modern', mayAll());
    endpoint.fault = { kind: 'dimensions', dimensions: 31 };
    const error = await callError(client, 'semantic_search', { query: 'anything' });
    expect(error.text).toMatch(/vectors of 31 dimensions instead of 32/);
    expect(endpoint.sent).toMatchObject([{ dimensions: 32 }]);
  });

  it('that is not there makes no call hang', async () => {
    await using lost = await runSemanticBank(postgres, 'lost', endpoint, { EMBEDDINGS_URL: 'http://127.0.0.1:9/v1' });
    await using client = await lost.connect('modern', mayAll());
    expect(await callError(client, 'suggest', { text: 'anything' })).toMatchObject({
      code: 'upstream_failed',
      retryable: true,
    });
  });

  it('that rejects one text gets the others, and that one no more', async () => {
    await using poisoned = await runSemanticBank(postgres, 'poisoned', endpoint);
    await using client = await poisoned.connect('modern', mayAll());
    for (const title of ['one good', 'one poison', 'another good']) await create(client, 'note', { title });
    endpoint.fault = { kind: 'poison', word: 'poison' };
    const answer = await search(client, 'good');
    expect(answer.results.map(({ title }) => title).sort()).toEqual(['another good', 'one good']);
    expect(answer.complete).toBe(false);
    endpoint.sent.length = 0;
    expect((await search(client, 'good')).results).toHaveLength(2);
    expect(endpoint.texts()).toEqual(['good']);
    expect(poisoned.logs.join('')).toMatch(/too many tokens/);
  });

  it('that fails while missing texts are embedded takes nothing from the answer but those', async () => {
    await using half = await runSemanticBank(postgres, 'half', endpoint);
    await using client = await half.connect('modern', mayAll());
    await create(client, 'note', { title: 'first' });
    await search(client, 'first');
    await create(client, 'note', { title: 'second' });
    endpoint.fault = { kind: 'hold' };
    const searching = search(client, 'first');
    await endpoint.held(1);
    endpoint.release();
    endpoint.fault = { kind: 'status', status: 400 };
    const answer = await searching;
    expect(answer.results.map(({ title }) => title)).toEqual(['first']);
    expect(answer.complete).toBe(false);
    expect(await stored(postgres, 'half')).toHaveLength(1);
  });

  it('is asked no more when the caller goes away', async () => {
    await using left = await runSemanticBank(postgres, 'left', endpoint);
    await using client = await left.connect('modern', mayAll());
    endpoint.fault = { kind: 'hold' };
    const abort = new AbortController();
    const calling = client.callTool({ name: 'semantic_search', arguments: { query: 'x' } }, { signal: abort.signal });
    await endpoint.held(1);
    abort.abort();
    await expect(calling).rejects.toThrow();
    await expect.poll(() => left.logs.join(''), SOON).toMatch(/"outcome":"cancelled"/);
  });
});

it('an endpoint whose certificate is of a CA of its own is believed where that CA is configured, and only there', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-ca-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
    ],
    { stdio: 'ignore' },
  );
  const ca = readFileSync(cert, 'utf8');
  await using safe = await startEndpoint({ key: readFileSync(key, 'utf8'), cert: ca });
  await using knows = await runSemanticBank(postgres, 'knows-ca', safe, { EMBEDDINGS_CA: ca });
  await using client = await knows.connect('modern', mayAll());
  expect((await search(client, 'x')).results).toEqual([]);
  await using doubts = await runSemanticBank(postgres, 'doubts-ca', safe);
  await using other = await doubts.connect('modern', mayAll());
  const error = await callError(other, 'semantic_search', { query: 'x' });
  expect(error).toMatchObject({ code: 'upstream_failed', retryable: false });
  expect(error.text).toMatch(/certificate is not trusted\. An administrator must give the CA/);
  expect(safe.texts()).toEqual(['x']);
});

describe('the key', () => {
  it('goes along, and another one from the moment that its file is another', async () => {
    await using rotated = await runSemanticBank(postgres, 'rotated', endpoint);
    await using client = await rotated.connect('modern', mayAll());
    await search(client, 'x');
    expect(endpoint.sent.at(-1)?.authorization).toBeUndefined();
    rotated.writeSecret('embeddings-key', KEY);
    await expect
      .poll(
        async () => {
          await search(client, 'x');
          return endpoint.sent.at(-1)?.authorization;
        },
        { interval: 200, timeout: 5000 },
      )
      .toBe(`Bearer ${KEY}`);
  });

  it('is in no log, whatever happened before', () => {
    const logs = bank.logs.join('');
    expect(logs).toMatch(/It says: no such model for \[redacted\]/);
    expect(logs).not.toContain(KEY);
    expect(logs).not.toContain('anything');
  });
});

describe('costs', () => {
  it('are in the log as inputs and characters', async () => {
    await using counted = await runSemanticBank(postgres, 'counted', endpoint);
    await using client = await counted.connect('modern', mayAll());
    await create(client, 'note', { title: '12345' });
    await search(client, '123');
    const told = counted.logs.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'embedded');
    expect(told).toMatchObject([
      { inputs: 1, characters: 3 },
      { inputs: 1, characters: 5 },
    ]);
    expect(await call(client, 'list_notes')).toMatchObject({ notes: [{ title: '12345' }] });
  });
});
