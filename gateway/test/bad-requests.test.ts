/** R1.5, R1.8: nothing bad reaches a bank server, and each gets exactly its answer. */
import { bankMetadataUrl, bankPath } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LYING_NAMES } from '../../test/harness/bad-names.ts';
import { type BadRequest, badRequests } from '../../test/harness/bad-requests.ts';
import {
  type Answered,
  bank,
  FRONT_DOOR,
  JSON_TYPE,
  LIST,
  send,
  startIssuer,
  startPod,
  startTestGateway,
} from './support.ts';

const issuer = await startIssuer();
const pod = await startPod();
const gateway = await startTestGateway({ issuers: [issuer], podPort: pod.port });
const rows = await badRequests(issuer.context());
afterAll(async () => {
  await gateway.stop(0);
  await Promise.all([issuer.close(), pod.close()]);
});

/** What the header must be, but for its description. */
function challengeOf(row: BadRequest, bank: string): RegExp | undefined {
  const metadata = `resource_metadata="${bankMetadataUrl(FRONT_DOOR, bank)}"`;
  switch (row.challenge) {
    case 'none':
      return undefined;
    case 'absent':
      return new RegExp(`^Bearer ${literal(metadata)}, scope="mcp:read mcp:write"$`);
    case 'invalid_token':
      return new RegExp(
        `^Bearer error="invalid_token", error_description="[^"]+", ${literal(metadata)}, scope="mcp:read mcp:write"$`,
      );
    case 'insufficient_scope':
      return new RegExp(
        `^Bearer error="insufficient_scope", error_description="[^"]+", scope="mcp:read( mcp:write)?", ${literal(metadata)}$`,
      );
  }
}

const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

describe('a bad request', () => {
  it('is of more than 300 kinds', () => {
    expect(rows.length).toBeGreaterThan(300);
    expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
  });

  it.each(rows.map((row) => [row.name, row] as const))('%s: is refused and reaches no bank', async (_name, row) => {
    const answer = await send(gateway.port, row);
    const bank = row.target.includes('globex') ? 'globex' : 'acme';
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: row.status, code: row.code });
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.error?.message).toMatch(/^[A-Z].{20,}\.$/);
    const challenge = challengeOf(row, bank);
    if (challenge === undefined) expect(answer.headers['www-authenticate']).toBeUndefined();
    else expect(answer.headers['www-authenticate']).toMatch(challenge);
    expect(pod.seen).toEqual([]);
  });
});

describe('the answer to a bad token', () => {
  const tokens = rows.filter((row) => row.status === 401 && row.target === '/mcp/bank-acme');
  /** All that a client could tell two answers apart by, but for what differs anyway; ids have one length. */
  const form = ({ status, headers, body }: Answered, id: string) => {
    const { date: _, 'x-request-id': requestId, ...others } = headers;
    return JSON.stringify([status, requestId?.length, others, body]).replaceAll(id, 'acme');
  };

  const there = new Map<string, string>();
  beforeAll(async () => {
    for (const row of tokens) there.set(row.name, form(await send(gateway.port, row), 'acme'));
  });

  it.each<[string, string, () => void]>([
    ['is not there', 'void', () => {}],
    ['is suspended', 'idle', () => gateway.table.setBank('banks/idle', bank('idle', { suspend: true }))],
    ['is not accepted', 'wait', () => gateway.table.setBank('banks/wait', bank('wait', { accepted: false }))],
    ['has no pod', 'gone', () => gateway.table.setBank('banks/gone', bank('gone'))],
  ])('is the same, byte for byte, from a bank that %s', async (_name, id, arrange) => {
    arrange();
    expect(there.size).toBeGreaterThan(150);
    for (const row of tokens) {
      const elsewhere = await send(gateway.port, { ...row, target: bankPath(id) });
      // What is wrong with a token for acme alone is wrong at any other bank for its audience.
      if (elsewhere.error?.data.code === 'token_audience') expect(elsewhere.status).toBe(401);
      else expect([row.name, form(elsewhere, id)]).toEqual([row.name, there.get(row.name)]);
    }
  });

  it('is the same at all of them where the token is good for another bank', async () => {
    const headers = { ...JSON_TYPE, authorization: `Bearer ${await issuer.token({}, 'globex')}` };
    const answers = await Promise.all(
      ['acme', 'void', 'idle', 'wait', 'gone'].map(async (id) =>
        form(await send(gateway.port, { target: bankPath(id), headers, body: LIST }), id),
      ),
    );
    expect(new Set(answers).size).toBe(1);
  });
});

describe('the log', () => {
  const records = () => gateway.lines.join('').trimEnd().split('\n');

  it('has one line of JSON for each thing that is said, whatever names are made of', () => {
    const calls = records().filter((line) => JSON.parse(line).msg === 'call');
    expect(calls.length).toBeGreaterThan(rows.filter(({ status }) => status === 403).length);
    for (const line of records())
      expect([line.length < 4096, /[\p{C}\p{Zl}\p{Zp}]/u.test(line)]).toEqual([true, false]);
  });

  it('has what names are made of in a form that neither a terminal nor a reader is deceived by', () => {
    const texts = new Set(records().flatMap((line) => namesIn(JSON.parse(line))));
    expect(texts.size).toBeGreaterThan(LYING_NAMES.length);
    for (const text of texts) expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    for (const [, name] of LYING_NAMES) expect([...texts]).toContain(name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{fffd}'));
  });

  it('has an id of the request that the client could not choose to be something else', async () => {
    const lie = '","outcome":"answered","x":"';
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, 'x-request-id': lie }, body: LIST });
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(records().at(-1) ?? '')).toMatchObject({
      requestId: answer.headers['x-request-id'],
      status: 401,
    });
  });
});

/** What others named, of a record. */
function namesIn({
  sub,
  jti,
  client,
  methods = [],
  tools = [],
}: Record<string, string> & { methods?: string[]; tools?: string[] }) {
  return [sub, jti, client, ...methods, ...tools].filter((name) => name !== undefined);
}

it('no token, nor a part of one, is in the log', () => {
  const log = gateway.lines.join('');
  const tokens = rows.flatMap((row) => /^Bearer (\S{40,})$/.exec(String(row.headers.authorization))?.[1] ?? []);
  expect(tokens.length).toBeGreaterThan(40);
  for (const token of tokens)
    for (const part of token.split('.').slice(1)) {
      if (part.length > 20) expect(log).not.toContain(part);
    }
});
