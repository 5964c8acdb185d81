/** R1.4: what is revoked in Postgres is refused on every replica within a second, and a feed that is cut is noticed. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createLogger } from '@bankhouse/core';
import { RevocationFeed, Revocations } from '@bankhouse/gateway';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';

const logger = createLogger({ component: 'test', level: 'silent' });
const now = () => Math.floor(Date.now() / 1000);

let postgres: TestPostgres;
let control: pg.Client;
const running: RevocationFeed[] = [];
beforeAll(async () => {
  postgres = await startPostgres();
  control = new pg.Client({ connectionString: postgres.serviceUrl('control') });
  control.on('error', () => {});
  await control.connect();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((feed) => feed.stop()));
});
afterAll(async () => {
  await control?.end();
  await postgres?.stop();
});

/** A replica's part, which says when it learned something. */
function startReplica(databaseUrl = postgres.serviceUrl('gateway'), maxStalenessMs = 10_000) {
  const revocations = new Revocations(maxStalenessMs);
  const waiting = new Set<() => void>();
  const feed = new RevocationFeed({
    databaseUrl,
    revocations,
    logger,
    onChange: () => {
      for (const look of [...waiting]) look();
    },
  });
  running.push(feed);
  feed.start();
  const learned = (condition: () => boolean) =>
    new Promise<number>((resolve) => {
      const look = () => {
        if (!condition()) return;
        waiting.delete(look);
        resolve(performance.now());
      };
      waiting.add(look);
      look();
    });
  return { revocations, feed, learned };
}

async function until(condition: () => boolean, limitMs = 15_000): Promise<number> {
  const began = performance.now();
  while (!condition()) {
    if (performance.now() - began > limitMs) throw new Error(`still not so after ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - began;
}

const revoke = (jti: string) =>
  control.query('insert into control.revoked_tokens (jti, expires_at) values ($1, now() + interval $$1 hour$$)', [jti]);

describe('a revoked token', () => {
  it('is known to two replicas within a second of its commit, twenty times', async () => {
    const replicas = [startReplica(), startReplica()];
    await Promise.all(replicas.map(({ revocations }) => until(() => revocations.isFresh)));
    const delays: number[] = [];
    for (let turn = 0; turn < 20; turn++) {
      const jti = crypto.randomUUID();
      await revoke(jti);
      const committed = performance.now();
      for (const { learned, revocations } of replicas) {
        delays.push((await learned(() => revocations.isRevoked({ jti, iat: now() }, 'acme'))) - committed);
      }
    }
    expect(Math.max(...delays)).toBeLessThan(1000);
  });

  it('from before a replica started is known when it is first fresh', async () => {
    const jti = crypto.randomUUID();
    await revoke(jti);
    const { revocations } = startReplica();
    await until(() => revocations.isFresh);
    expect(revocations.isRevoked({ jti, iat: now() }, 'acme')).toBe(true);
  });
});

describe("a bank's epoch", () => {
  it('refuses earlier tokens of that bank alone, and moves on', async () => {
    const { revocations, learned } = startReplica();
    await until(() => revocations.isFresh);
    const set = (seconds: number) =>
      control.query(
        'insert into control.bank_epochs values ($1, to_timestamp($2)) on conflict (bank_id) do update set not_before = excluded.not_before',
        ['acme', seconds],
      );
    await set(1000);
    await learned(() => revocations.isRevoked({ jti: 'x', iat: 999 }, 'acme'));
    expect(revocations.isRevoked({ jti: 'x', iat: 1000 }, 'acme')).toBe(false);
    expect(revocations.isRevoked({ jti: 'x', iat: 999 }, 'globex')).toBe(false);
    await set(2000.4);
    await learned(() => revocations.isRevoked({ jti: 'x', iat: 2000 }, 'acme'));
    expect(revocations.isRevoked({ jti: 'x', iat: 2001 }, 'acme')).toBe(false);
  });
});

describe('whoever writes, and whenever it commits', () => {
  it('is read once it is committed, though a later transaction was read before', async () => {
    const { revocations, learned } = startReplica();
    await until(() => revocations.isFresh);
    const [slow, quick] = [crypto.randomUUID(), crypto.randomUUID()];
    await withClient(postgres.ownerUrl, async (owner) => {
      await owner.query('begin');
      await owner.query("insert into control.revoked_tokens values ($1, now() + interval '1 hour')", [slow]);
      await revoke(quick);
      await learned(() => revocations.isRevoked({ jti: quick, iat: now() }, 'acme'));
      expect(revocations.isRevoked({ jti: slow, iat: now() }, 'acme')).toBe(false);
      await owner.query('commit');
    });
    const committed = performance.now();
    expect((await learned(() => revocations.isRevoked({ jti: slow, iat: now() }, 'acme'))) - committed).toBeLessThan(
      1000,
    );
  });

  it.each<[string, string, unknown[]]>([
    ['a token', "insert into control.revoked_tokens (jti, expires_at, xid) values ($1, now(), '1')", ['j"1']],
    ['a token for longer', 'update control.revoked_tokens set expires_at = now() where jti = $1', ['j"1']],
    [
      'all tokens of a bank',
      "insert into control.bank_epochs (bank_id, not_before, xid) values ($1, now(), '1')",
      ['x'],
    ],
    ['them once more', "update control.bank_epochs set not_before = now(), xid = '1' where bank_id = $1", ['x']],
  ])('of %s carries its transaction, whatever its writer says', async (_name, statement, values) => {
    const { rows } = await control.query(`${statement} returning xid = pg_current_xact_id() as stamped`, values);
    expect(rows).toEqual([{ stamped: true }]);
  });

  it('sends no notification, which would not commit while a role of any bank keeps the queue of all full', async () => {
    const { rows } = await control.query<{ functions: number; triggers: string[] }>(
      `select (select count(*)::int from pg_proc where pronamespace = 'control'::regnamespace and prosrc ~* 'notify') as functions,
        array(select tgname::text from pg_trigger where not tgisinternal and tgrelid in (
          'control.revoked_tokens'::regclass, 'control.bank_epochs'::regclass) order by 1) as triggers`,
    );
    expect(rows).toEqual([{ functions: 0, triggers: ['mirror', 'mirror', 'stamp_xid', 'stamp_xid'] }]);
  });
});

/** A way to the database that can be cut, or made to swallow everything while it stays open. */
async function startTunnel(port: number) {
  const pairs: [Socket, Socket][] = [];
  const server: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    pairs.push([near, far]);
    near.pipe(far).pipe(near);
    const end = () => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: (url: string) => url.replace(`:${port}/`, `:${(server.address() as AddressInfo).port}/`),
    connections: () => pairs.length,
    /** Nothing passes any more and nobody is told, as when a node vanishes. */
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
    async close() {
      for (const [near] of pairs) near.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('a feed that is cut', () => {
  it('half-open is noticed and mended, with nothing missed in between', async () => {
    const tunnel = await startTunnel(postgres.port);
    const { revocations, learned } = startReplica(tunnel.url(postgres.serviceUrl('gateway')));
    await until(() => revocations.isFresh);
    tunnel.freeze();
    const jti = crypto.randomUUID();
    await revoke(jti);
    await learned(() => revocations.isRevoked({ jti, iat: now() }, 'acme'));
    expect(tunnel.connections()).toBeGreaterThan(1);
    await running.pop()?.stop();
    await tunnel.close();
  });

  it('for longer than the limit is stale, so that calls are refused, and fresh again once it is back', async () => {
    const tunnel = await startTunnel(postgres.port);
    const { revocations, feed } = startReplica(tunnel.url(postgres.serviceUrl('gateway')), 2_000);
    await until(() => revocations.isFresh);
    await tunnel.close();
    await until(() => !revocations.isFresh);
    await feed.stop();
    const again = startReplica();
    await until(() => again.revocations.isFresh);
  });

  it('by a restart of Postgres comes back by itself', async () => {
    const { revocations } = startReplica(undefined, 2_000);
    await until(() => revocations.isFresh);
    await control.end();
    await postgres.restart();
    await until(() => revocations.stalenessMs < 500);
    control = new pg.Client({ connectionString: postgres.serviceUrl('control') });
    control.on('error', () => {});
    await control.connect();
  });
});
