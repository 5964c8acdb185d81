/** R1.5, R1.8: nothing bad reaches a bank server, and each gets exactly its answer. */
import { bankMetadataUrl } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BadRequest, badRequests } from '../../test/harness/bad-requests.ts';
import { FRONT_DOOR, send, startIssuer, startPod, startTestGateway } from './support.ts';

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
  it('is of at least 40 kinds', () => {
    expect(rows.length).toBeGreaterThan(80);
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
  let unknown: readonly BadRequest[];
  beforeAll(() => {
    unknown = tokens.map((row) => ({ ...row, target: '/mcp/bank-nobody' }));
  });

  it('is the same whether or not the bank exists', async () => {
    for (const [index, row] of tokens.entries()) {
      const there = await send(gateway.port, row);
      const nowhere = await send(gateway.port, unknown[index] ?? row);
      const form = ({ status, headers, error }: typeof there) =>
        JSON.stringify([status, headers['www-authenticate'], Object.keys(headers).sort(), error]).replaceAll(
          'nobody',
          'acme',
        );
      const isAudienceRow = row.code === 'token_audience' || nowhere.error?.data.code === 'token_audience';
      if (!isAudienceRow) expect(form(nowhere)).toBe(form(there));
      else expect(nowhere.status).toBe(401);
    }
  });
});

it('no token, nor a part of one, is in the log', () => {
  const log = gateway.lines.join('');
  const tokens = rows.flatMap((row) => /^Bearer (\S{40,})$/.exec(String(row.headers.authorization))?.[1] ?? []);
  expect(tokens.length).toBeGreaterThan(40);
  for (const token of tokens)
    for (const part of token.split('.').slice(1)) {
      if (part.length > 20) expect(log).not.toContain(part);
    }
});
