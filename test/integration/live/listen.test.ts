/** R3.11 through bank servers: what clients hear by subscriptions/listen, whichever replica they are on. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { SOON } from '../../harness/soon.ts';
import { counterBefore, poolerBefore } from './relays.ts';
import { type Replicas, runReplicas } from './replicas.ts';
import { addNote, asData, deleteRows, openFeed, VAULTS, write } from './support.ts';

let postgres: TestPostgres;
let acme: Replicas;
beforeAll(async () => {
  postgres = await startPostgres();
  acme = await runReplicas(postgres, 'acme', { count: 2 });
});
afterAll(async () => {
  await acme?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const NOTES = 'bankhouse://acme/notes';
const noteUri = (id: string) => `${NOTES}/${id}`;
const EVERYTHING = { resourceSubscriptions: [NOTES], resourcesListChanged: true };
const SALES = { vaults: ['sales'] };
const HR = { vaults: ['hr'] };

const rename = (id: string, title: string) =>
  write(acme.bank, (sql) => sql.query('update bank.notes set title = $2 where id = $1', [id, title]));

describe('a stream', () => {
  it('hears what was written through any replica, once it was acknowledged', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await using first = await acme.listen({ resourceSubscriptions: [noteUri(id)] }, {}, 0);
    await using second = await acme.listen(EVERYTHING, {}, 1);
    await rename(id, 'new');
    await first.hears(noteUri(id));
    await second.hears(NOTES);
    const other = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await second.hears(NOTES, 'list_changed');
    expect(first.heard).toEqual([]);
    await write(acme.bank, (sql) => deleteRows(sql, 'notes', [id, other]));
    await first.hears(noteUri(id));
    await second.hears(NOTES, 'list_changed');
  });

  it('is told of a write through a tool of the other replica', async () => {
    await using listener = await acme.listen(EVERYTHING, {}, 0);
    await using writer = await acme.connect(1, { scopes: ['mcp:read', 'mcp:write'] });
    const { structuredContent, isError } = await writer.callTool({
      name: 'create_note',
      arguments: { title: 'By a tool', vaultId: 'sales' },
    });
    expect({ isError: isError ?? false, made: structuredContent !== undefined }).toEqual({
      isError: false,
      made: true,
    });
    await listener.hears(NOTES, 'list_changed');
  });

  it('is acknowledged with what can be heard, and with nothing else', async () => {
    await using listener = await acme.listen({
      toolsListChanged: true,
      promptsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: [
        NOTES,
        NOTES,
        'bankhouse://acme/vaults/hr',
        'bankhouse://globex/notes',
        'bankhouse://acme/notes/../tasks',
        'bankhouse://acme/secrets',
        'file:///etc/passwd',
      ],
    });
    expect(listener.honored).toEqual({
      resourcesListChanged: true,
      resourceSubscriptions: [NOTES, 'bankhouse://acme/vaults/hr'],
    });
  });

  it('that asks for nothing that changes ends at once, without a feed', async () => {
    await using listener = await acme.listen({ toolsListChanged: true });
    expect({ honored: listener.honored, closed: await listener.closed }).toEqual({ honored: {}, closed: 'graceful' });
  });

  it('of a vault hears of the recordings that come into it', async () => {
    const vault = 'bankhouse://acme/vaults/hr';
    await using listener = await acme.listen({ resourceSubscriptions: [vault, 'bankhouse://acme/recordings'] }, HR);
    await asData(postgres, async (sql) => {
      const id = randomUUID();
      await sql.query(
        "insert into bank.recordings (bank_id, id, title, started_at, duration_seconds) values ('acme', $1, 'r', now(), 1)",
        [id],
      );
      await sql.query("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'hr', $1)", [
        id,
      ]);
    });
    await listener.hears(vault, 'bankhouse://acme/recordings');
  });
});

describe('of two streams with a vault each', () => {
  it("neither hears the other's vault, also when a row moves between them or is deleted", async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    const filter = { resourceSubscriptions: [noteUri(id), NOTES], resourcesListChanged: true };
    await using sales = await acme.listen(filter, SALES, 0);
    await using hr = await acme.listen(filter, HR, 1);
    /** Both have heard all that there was before: a change that both may see is heard by both. */
    const settle = async () => {
      await write(acme.bank, async (sql) => {
        await addNote(sql, 'sales');
        await addNote(sql, 'hr');
      });
      return Promise.all([sales.hears(NOTES, 'list_changed'), hr.hears(NOTES, 'list_changed')]);
    };
    await settle();

    await rename(id, 'in sales');
    await sales.hears(noteUri(id), NOTES);
    expect(hr.heard).toEqual([]);

    await write(acme.bank, (sql) => sql.query("update bank.notes set vault_id = 'hr' where id = $1", [id]));
    await sales.hears(noteUri(id), NOTES, 'list_changed');
    await hr.hears(noteUri(id), NOTES, 'list_changed');

    await rename(id, 'in hr');
    await hr.hears(noteUri(id), NOTES);
    expect(sales.heard).toEqual([]);

    await write(acme.bank, (sql) => deleteRows(sql, 'notes', [id]));
    await hr.hears(noteUri(id), NOTES, 'list_changed');
    await write(acme.bank, (sql) => addNote(sql, null));
    expect((await settle()).flat()).not.toContain(noteUri(id));
  });

  it('a bulk statement in one is no news in the other', async () => {
    await using sales = await acme.listen(EVERYTHING, SALES);
    await using hr = await acme.listen(EVERYTHING, HR);
    await asData(postgres, (sql) =>
      sql.query(`insert into bank.notes (bank_id, vault_id, title, created_by, updated_by)
        select 'acme', 'hr', 'n', 't', 't' from generate_series(1, 500)`),
    );
    await hr.hears(NOTES, 'list_changed');
    await write(acme.bank, (sql) => sql.query("insert into bank.tasks (vault_id, title) values ('hr', 't')"));
    await hr.hears('list_changed');
    expect(sales.heard).toEqual([]);
  });
});

describe('nothing is lost', () => {
  it('when the connection that listens is killed while rows change', async () => {
    const ids = await write(acme.bank, async (sql) => {
      const made: string[] = [];
      for (let row = 0; row < 20; row++) made.push(await addNote(sql, 'sales'));
      return made;
    });
    await using listener = await acme.listen({ resourceSubscriptions: ids.map(noteUri) });
    const all = new Set<string>();
    for (const id of ids) {
      await withClient(postgres.superuserUrl, (sql) =>
        sql.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bankhouse changes'",
        ),
      );
      await rename(id, 'again');
    }
    await expect
      .poll(
        () => {
          for (const uri of listener.heard) all.add(uri);
          return all.size;
        },
        { timeout: 20_000 },
      )
      .toBe(ids.length);
  });

  it('when Postgres restarts', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await using listener = await acme.listen({ resourceSubscriptions: [noteUri(id)] });
    await postgres.restart();
    await rename(id, 'after');
    await listener.hears(noteUri(id));
  });

  it("when the bank's keys are rotated, and with them the channel", async () => {
    await using own = await runReplicas(postgres, 'keys');
    await using listener = await own.listen({ resourcesListChanged: true });
    const change = (text: string, values: unknown[] = []) => asData(postgres, (sql) => sql.query(text, values));
    const add = `insert into bank.notes (bank_id, vault_id, title, created_by, updated_by) values ('keys', 'hr', 'n', 't', 't')`;
    await change("insert into bank.bank_keys (bank_id, generation, key) values ('keys', 2, $1)", [randomBytes(32)]);
    await change(add);
    await listener.hears('list_changed');
    await change("delete from bank.bank_keys where bank_id = 'keys' and generation = 1");
    // Without a notification, which comes by the new channel alone, it would read every 15 seconds.
    for (let turn = 0; turn < 3; turn++) {
      await change(add);
      await listener.hears('list_changed');
    }
  });

  it("when the bank's login is rotated and the former one is dropped", async () => {
    await using own = await runReplicas(postgres, 'login');
    await using listener = await own.listen({ resourcesListChanged: true });
    const { url } = await createBank(postgres, 'login', { vaults: VAULTS, form: 'b' });
    own.useDatabaseUrl(url);
    await withClient(postgres.superuserUrl, (sql) => sql.query("select bank.drop_login_role('bank_login_a')"));
    await asData(postgres, (sql) =>
      sql.query(
        "insert into bank.notes (bank_id, vault_id, title, created_by, updated_by) values ('login', 'hr', 'n', 't', 't')",
      ),
    );
    await listener.hears('list_changed');
  });

  it('of what follows the acknowledgement of a stream that opens while a read for others is under way', async () => {
    await using pooler = await poolerBefore(postgres.port);
    await using slow = await runReplicas(postgres, 'slow', {
      databaseUrl: (own) => own.replace(`:${postgres.port}/`, `:${pooler.port}/`),
    });
    await using other = await slow.listen({ resourcesListChanged: true });
    const id = await write(slow.bank, (sql) => addNote(sql, 'sales'));
    const uri = `bankhouse://slow/notes/${id}`;
    await other.hears('list_changed');
    pooler.hold('bankhouse changes');
    await expect.poll(() => pooler.held(), SOON).toBeGreaterThan(0);
    await using late = await slow.listen({ resourceSubscriptions: [uri] });
    await write(slow.bank, (sql) => sql.query("update bank.notes set title = 'right after' where id = $1", [id]));
    pooler.release();
    await late.hears(uri);
    expect(other.heard).toEqual([]);
  }, 30_000);

  it('when what a stream missed is not kept any more: it is told to read everything again', async () => {
    await using own = await runReplicas(postgres, 'pruned');
    const uri = `bankhouse://pruned/notes/${randomUUID()}`;
    await using listener = await own.listen({ resourceSubscriptions: [uri], resourcesListChanged: true });
    await asData(postgres, (sql) =>
      sql.query(
        "insert into bank.change_floors (bank_id, pruned) values ('pruned', pg_current_xact_id()); " +
          `select pg_notify(channel, '') from bank.bank_keys where bank_id = 'pruned'`,
      ),
    );
    await listener.hears(uri, 'list_changed');
  });
});

describe('a storm of 5,000 changes', () => {
  it('reaches a reader as few notices, and the last change is among them', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await using listener = await acme.listen({
      resourceSubscriptions: [noteUri(id), NOTES],
      resourcesListChanged: true,
    });
    const started = performance.now();
    for (let turn = 0; turn < 50; turn++) {
      await asData(postgres, (sql) =>
        sql.query(
          `do $$ begin for i in 1..100 loop
             update bank.notes set title = 'storm ' || i where bank_id = 'acme' and id = '${id}';
           end loop; end $$`,
        ),
      );
    }
    await expect.poll(() => listener.heard.length, SOON).toBeGreaterThan(0);
    const reads = (performance.now() - started) / 200 + 2;
    expect(listener.heard.length).toBeLessThanOrEqual(2 * reads);
    await listener.hears(NOTES);
    await rename(id, 'calm');
    await listener.hears(noteUri(id), NOTES);
  });
});

describe('a stream is refused', () => {
  it('to a caller without mcp:read', async () => {
    const { status } = await listenByHand(acme, EVERYTHING, { scopes: ['mcp:write'] });
    expect(status).toBe(403);
  });

  it('for more URIs than one may watch', async () => {
    const uris = Array.from({ length: 257 }, () => noteUri(randomUUID()));
    await expect(acme.listen({ resourceSubscriptions: uris })).rejects.toThrow(/at most 256 URIs/);
  });

  it('beyond 16 of one subject, and to nobody else', async () => {
    await using stack = new AsyncDisposableStack();
    for (let turn = 0; turn < 16; turn++) stack.use(await acme.listen(EVERYTHING, { sub: 'greedy' }));
    await expect(acme.listen(EVERYTHING, { sub: 'greedy' })).rejects.toThrow(/You have 16 open streams.*try again/s);
    stack.use(await acme.listen(EVERYTHING, { sub: 'modest' }));
  });

  it('while the database is away, in words that say so', async () => {
    await using lost = await runReplicas(postgres, 'lost', { databaseUrl: () => 'postgres://a:b@127.0.0.1:1/c' });
    await expect(lost.listen({ resourcesListChanged: true })).rejects.toThrow(/database_unavailable/);
  });
});

describe('a stream ends', () => {
  it('when its token is revoked (R1.4), and others go on', async () => {
    await using gone = await acme.listen(EVERYTHING, { jti: 'revoked-1' });
    await using stays = await acme.listen(EVERYTHING, { jti: 'holds-1' });
    await withClient(postgres.serviceUrl('control'), (sql) =>
      sql.query("insert into control.revoked_tokens (jti, expires_at) values ('revoked-1', now() + interval '1 day')"),
    );
    await write(acme.bank, (sql) => addNote(sql, 'sales'));
    expect(await gone.closed).toBe('graceful');
    await stays.hears('list_changed');
    expect(gone.heard).toEqual([]);
  });

  it('when its time is over', async () => {
    await using listener = await acme.listen(EVERYTHING, { sub: 'old' });
    await asData(postgres, (sql) => sql.query("update bank.feeds set expires_at = now() where subject = 'old'"));
    await write(acme.bank, (sql) => addNote(sql, 'sales'));
    expect(await listener.closed).toBe('graceful');
  });

  it('with its server, by the result that the protocol wants', async () => {
    await using own = await runReplicas(postgres, 'stopped');
    await using listener = await own.listen({ resourcesListChanged: true });
    await own.stop();
    expect(await listener.closed).toBe('graceful');
    expect(await own.feeds()).toBe(0);
  });
});

describe('a bank at rest', () => {
  it('holds no connection and no feed once the last stream is closed', async () => {
    await using own = await runReplicas(postgres, 'rests');
    expect(await own.listeners()).toBe(0);
    {
      await using first = await own.listen({ resourcesListChanged: true });
      await using second = await own.listen({ resourcesListChanged: true });
      expect([first, second]).toHaveLength(2);
      await expect.poll(() => own.listeners(), SOON).toBe(1);
    }
    await expect.poll(() => own.listeners(), SOON).toBe(0);
    expect(await own.feeds()).toBe(0);
    await using again = await own.listen({ resourcesListChanged: true });
    await write(own.bank, (sql) => addNote(sql, 'sales'));
    await again.hears('list_changed');
  });
});

describe('notifications that others forge', () => {
  it('cause reads at a bounded rate, and say nothing', async () => {
    await using way = await counterBefore(postgres.port, 'bank.read_feeds');
    await using own = await runReplicas(postgres, 'forged', {
      databaseUrl: (direct) => direct.replace(`:${postgres.port}/`, `:${way.port}/`),
    });
    const { channel } = await openFeed(own.bank);
    await using listener = await own.listen({ resourcesListChanged: true });
    await expect.poll(() => way.counted(), SOON).toBeGreaterThan(0);
    const before = way.counted();
    const started = performance.now();
    await withClient(acme.bank.url, async (sql) => {
      for (let turn = 0; turn < 300 || way.counted() < before + 8; turn++) {
        await sql.query('select pg_notify($1, $2)', [channel, `list_changed ${turn}`]);
      }
    });
    expect(way.counted() - before).toBeLessThanOrEqual((performance.now() - started) / 200 + 3);
    expect(listener.heard).toEqual([]);
  });
});

describe('behind a pooler', () => {
  it('changes are looked for, and the log says so once', async () => {
    await using pooler = await poolerBefore(postgres.port);
    await using pooled = await runReplicas(postgres, 'pooled', {
      databaseUrl: (own) => own.replace(`:${postgres.port}/`, `:${pooler.port}/`),
    });
    await using listener = await pooled.listen({ resourcesListChanged: true });
    await write(pooled.bank, (sql) => addNote(sql, 'sales'));
    await listener.hears('list_changed');
    await write(pooled.bank, (sql) => addNote(sql, 'sales'));
    await listener.hears('list_changed');
    expect(pooled.logs.filter((line) => line.includes('looked for'))).toHaveLength(1);
  });
});

describe('a client of 2025-11-25', () => {
  it('is not promised what a server without sessions does not keep (R3.3)', async () => {
    await using client = Object.assign(new Client({ name: 'legacy', version: '1' }), {
      async [Symbol.asyncDispose]() {
        await client.close();
      },
    });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(acme.urls[0] ?? ''), { requestInit: { headers: acme.headers() } }),
    );
    expect(client.getServerCapabilities()?.resources).toEqual({});
    await expect(client.subscribeResource({ uri: NOTES })).rejects.toThrow();
  });

  it('while one of 2026-07-28 is told that it may subscribe', async () => {
    await using client = await acme.connect();
    expect(client.getServerCapabilities()).toMatchObject({ resources: { subscribe: true, listChanged: true } });
    expect(client.getServerCapabilities()?.tools).toEqual({});
  });
});

function listenByHand(
  replicas: Replicas,
  notifications: Record<string, unknown>,
  changes: Parameters<Replicas['headers']>[0] = {},
): Promise<Response> {
  return fetch(replicas.urls[0] ?? '', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
      ...replicas.headers(changes),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: {
        notifications,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  });
}
