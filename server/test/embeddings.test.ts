import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createEmbeddings } from '../src/embeddings/client.ts';
import { fromLiteral, similarity, toLiteral } from '../src/embeddings/index.ts';
import { secondsOf } from '../src/embeddings/request.ts';
import { suggestionsOf } from '../src/toolsets/semantic/tag.ts';

let server: Server;
let url: string;
const bodies: { input: string[] }[] = [];
/** Answers in another order than the texts came in. */
beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { input: string[] };
    bodies.push(body);
    if (body.input.includes('silence')) return;
    const data = body.input.map((text, index) => ({ index, embedding: [text.length, 3] })).reverse();
    response.end(JSON.stringify({ data, path: request.url }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/?version=1`;
});
beforeEach(() => {
  bodies.length = 0;
});
afterAll(() => {
  server?.closeAllConnections();
  server?.close();
});

const client = () => createEmbeddings({ url, model: 'm' }, { key: () => undefined });

describe('the client of an endpoint for embeddings (R3.12)', () => {
  it('puts vectors into the order of their texts, and makes them of length 1', async () => {
    const [one, two] = await client().embed(['four', '']);
    expect([...(one ?? [])]).toEqual([Math.fround(0.8), Math.fround(0.6)]);
    expect([...(two ?? [])]).toEqual([0, 1]);
  });

  it.each<[string, string[], number[]]>([
    ['nothing is asked for no text', [], []],
    ['32 texts a request', Array.from({ length: 70 }, () => 'x'), [32, 32, 6]],
    ['64,000 characters a request', Array.from({ length: 10 }, () => 'x'.repeat(8000)), [8, 2]],
  ])('%s', async (_sentence, texts, requests) => {
    expect(await client().embed(texts)).toHaveLength(texts.length);
    expect(bodies.map(({ input }) => input.length)).toEqual(requests);
  });

  it('cuts a text after 8,000 characters, and no character in two', async () => {
    await client().embed([`${'x'.repeat(7999)}😀`]);
    expect(bodies[0]?.input).toEqual(['x'.repeat(7999)]);
  });
});

describe('an endpoint that is silent', () => {
  it('is given up at the deadline', async () => {
    const asking = client().embed(['silence'], { deadlineMs: 30 });
    await expect(asking).rejects.toMatchObject({ reason: 'timeout', retryable: true });
  });

  it('is given up when the caller goes away, with the reason of that', async () => {
    const reason = new Error('gone');
    const abort = new AbortController();
    const asking = client().embed(['silence'], { signal: abort.signal });
    abort.abort(reason);
    await expect(asking).rejects.toBe(reason);
  });
});

describe('Retry-After (RFC 9110)', () => {
  const now = Date.parse('2026-11-21T10:00:00Z');
  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['120', 120],
    ['Sat, 21 Nov 2026 10:00:30 GMT', 30],
    ['Sat, 21 Nov 2026 09:00:00 GMT', 0],
    ['soon', undefined],
  ])('%s is %s seconds', (header, seconds) => {
    expect(secondsOf(header, now)).toBe(seconds);
  });
});

it('a vector survives its way into the database and back', () => {
  const vector = Float32Array.from([0.1, -1e-7, 1 / 3, 0]);
  expect(fromLiteral(toLiteral(vector))).toEqual(vector);
  expect(similarity(Float32Array.from([0.6, 0.8]), Float32Array.from([0.8, 0.6]))).toBeCloseTo(0.96);
});

describe('tags that suggest themselves', () => {
  const near = (title: string, score: number, tags: string[]) => ({ kind: 'note' as const, title, score, tags });
  it.each<[string, Parameters<typeof suggestionsOf>, [string, number, number][]]>([
    ['of nobody are none', [[], [], [], 0], []],
    [
      'count by the nearest entry that has them, then by how many have them',
      [[near('a', 0.9, ['x']), near('b', 0.8, ['y', 'z']), near('c', 0.7, ['z', 'x'])], [], [], 0],
      [
        ['x', 0.9, 2],
        ['z', 0.8, 2],
        ['y', 0.8, 1],
      ],
    ],
    ['are not those that it has, in any case of letters', [[near('a', 0.9, ['Late', 'x'])], [], ['late', 'X'], 0], []],
    [
      'are candidates that are close enough',
      [
        [],
        [
          { name: 'near', score: 0.5 },
          { name: 'far', score: 0.1 },
        ],
        [],
        0.3,
      ],
      [['near', 0.5, 0]],
    ],
    [
      'for two reasons count by the better one',
      [
        [near('a', 0.6, ['x']), near('b', 0.5, ['y'])],
        [
          { name: 'X', score: 0.7 },
          { name: 'y', score: 0.4 },
        ],
        [],
        0,
      ],
      [
        ['x', 0.7, 1],
        ['y', 0.5, 1],
      ],
    ],
  ])('%s', (_sentence, args, expected) => {
    expect(suggestionsOf(...args).map(({ tag, score, entries }) => [tag, score, entries])).toEqual(expected);
  });
});
