/** Tokens that are revoked or expire, before a call and within its stream (R1.4). */
import { describe, expect, it } from 'vitest';
import { type RevocationNotice, Revocations } from '../src/index.ts';
import { startNeighbours } from './neighbours.ts';
import { LIST, MODERN_LIST, readText, seconds, send } from './support.ts';

const { pod, gateway, bearer, list, openList } = await startNeighbours();

describe('revocation (R1.4)', () => {
  it('refuses the token on its next call', async () => {
    const jti = crypto.randomUUID();
    const headers = { ...MODERN_LIST, ...(await bearer({ jti })) };
    expect((await send(gateway.port, { headers, body: LIST })).status).toBe(200);
    gateway.revocations.add({ jti, exp: seconds() + 300 });
    const answer = await send(gateway.port, { headers, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({ status: 401, code: 'token_revoked' });
  });

  it("refuses all of a bank's tokens from before its epoch, and no other bank's", async () => {
    gateway.revocations.add({ bank: 'globex', notBefore: seconds() + 1 });
    const refused = await send(gateway.port, {
      target: '/mcp/bank-globex',
      headers: { ...MODERN_LIST, ...(await bearer({}, 'globex')) },
      body: LIST,
    });
    const other = await list();
    expect([refused.error?.data.code, other.status]).toEqual(['token_revoked', 200]);
  });

  describe('G8: a database that was set back, or lost its last transactions', () => {
    const now = 1_800_000_000;
    const revocations = () => {
      const all = new Revocations(10_000);
      all.add({ jti: 'gone', exp: now + 600 });
      all.add({ bank: 'acme', notBefore: now - 60 });
      return all;
    };
    const of = (jti: string, iat: number) => ({ jti, iat });

    it.each<[string, RevocationNotice[], number]>([
      ['that lost all', [], 2],
      [
        'that has an older epoch',
        [
          { jti: 'gone', exp: now + 600 },
          { bank: 'acme', notBefore: now - 3600 },
        ],
        1,
      ],
      [
        'that has everything',
        [
          { jti: 'gone', exp: now + 600 },
          { bank: 'acme', notBefore: now - 60 },
        ],
        0,
      ],
    ])('%s un-revokes nothing, and the loss is counted', (_name, notices, lost) => {
      const all = revocations();
      expect(all.reconcile(notices, now)).toBe(lost);
      expect([all.isRevoked(of('gone', now), 'globex'), all.isRevoked(of('j', now - 61), 'acme')]).toEqual([
        true,
        true,
      ]);
      expect(all.isRevoked(of('j', now - 60), 'acme')).toBe(false);
    });

    it('is remembered until no such token can be valid any more, and not for ever', () => {
      const all = revocations();
      all.reconcile([], now + 601);
      expect(all.size).toBe(2);
      all.reconcile([], now + 661);
      expect(all.size).toBe(1);
      all.reconcile([], now + 48 * 3600 + 1);
      expect(all.size).toBe(0);
    });
  });

  it.each(['revoked', 'expired'])('ends a stream whose token is %s meanwhile', async (how) => {
    pod.onRequest = (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n');
    const jti = crypto.randomUUID();
    // Within the leeway of 5 s, so that it is good for two or three seconds more.
    const claims = how === 'expired' ? { jti, iat: seconds() - 60, exp: seconds() - 2 } : { jti };
    const { response } = await openList(claims);
    const ended = expect(readText(response)).rejects.toThrow(/aborted/);
    if (how === 'revoked') {
      gateway.revocations.add({ jti, exp: seconds() + 300 });
      gateway.sweep();
    }
    await ended;
  });

  it('that is not known for more than 10 s refuses every call with 503, and lets them through once it is', async () => {
    const headers = { ...MODERN_LIST, ...(await bearer()) };
    const before = gateway.clock.ms;
    gateway.clock.ms = before + 10_001;
    const answer = await send(gateway.port, { headers, body: LIST });
    expect({ status: answer.status, code: answer.error?.data.code }).toEqual({
      status: 503,
      code: 'revocation_unknown',
    });
    expect(answer.headers['retry-after']).toBe('5');
    expect(pod.seen).toEqual([]);
    gateway.revocations.confirm(gateway.clock.ms);
    expect((await send(gateway.port, { headers, body: LIST })).status).toBe(200);
  });
});
