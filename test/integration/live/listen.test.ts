/** R3.11 through bank servers: what clients hear by subscriptions/listen, whichever replica they are on, and until when. */
import { randomUUID } from 'node:crypto';
import type { Assertion } from '@bankhouse/core';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { ISSUER, withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { SOON } from '../../harness/soon.ts';
import { type Acme, EVERYTHING, NOTES, noteUri, type Replicas, rename, runReplicas, startAcme } from './replicas.ts';
import { addNote, asData, deleteRows, write } from './support.ts';

let { postgres, acme } = {} as Acme;
shared(startAcme, (started) => {
  ({ postgres, acme } = started);
});

const SALES = { vaults: ['sales'] };
const HR = { vaults: ['hr'] };

describe('a stream', () => {
  it('hears what was written through any replica, once it was acknowledged', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await using first = await acme.listen({ resourceSubscriptions: [noteUri(id)] }, {}, 0);
    await using second = await acme.listen(EVERYTHING, {}, 1);
    await rename(acme.bank, id, 'new');
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

  it('hears, of either era, that the Bank lists its tools in another profile', async () => {
    await using bank = await runReplicas(postgres, 'profiled', {});
    await using listener = await bank.listen({ toolsListChanged: true });
    const client = new Client({ name: 'legacy', version: '1' });
    await using legacy = Object.assign(client, { [Symbol.asyncDispose]: () => client.close() });
    const told = Promise.withResolvers<void>();
    legacy.setNotificationHandler('notifications/tools/list_changed', () => told.resolve());
    const transport = new StreamableHTTPClientTransport(new URL(bank.urls[0] ?? ''), {
      requestInit: { headers: bank.headers() },
    });
    await legacy.connect(transport);
    // Its stream is opened beside what it asks.
    await expect.poll(() => bank.logs.filter((line) => line.includes('stream opened')).length, SOON).toBe(2);
    bank.useToolProfile('search');
    await listener.hears('tools');
    await told.promise;
    expect((await listener.client.listTools()).tools.map(({ name }) => name)).toEqual(['find_tools', 'call_tool']);
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
      toolsListChanged: true,
      resourcesListChanged: true,
      resourceSubscriptions: [NOTES, 'bankhouse://acme/vaults/hr'],
    });
  });

  it('that asks for nothing that changes ends at once, without a feed', async () => {
    await using listener = await acme.listen({ promptsListChanged: true });
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

    await rename(acme.bank, id, 'in sales');
    await sales.hears(noteUri(id), NOTES);
    expect(hr.heard).toEqual([]);

    await write(acme.bank, (sql) => sql.query("update bank.notes set vault_id = 'hr' where id = $1", [id]));
    await sales.hears(noteUri(id), NOTES, 'list_changed');
    await hr.hears(noteUri(id), NOTES, 'list_changed');

    await rename(acme.bank, id, 'in hr');
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
    await write(acme.bank, (sql) =>
      sql.query("insert into bank.tasks (bank_id, vault_id, title) values (bank.me(), 'hr', 't')"),
    );
    await hr.hears('list_changed');
    expect(sales.heard).toEqual([]);
  });
});

describe('a stream is refused', () => {
  it.each<[string, Partial<Assertion>]>([
    ['that is not for reading (G7)', { access: 'none' }],
    ['of a gateway before access, without mcp:read', { access: undefined, scopes: ['mcp:write'] }],
  ])('under an assertion %s', async (_sentence, changes) => {
    const { status } = await listenByHand(acme, EVERYTHING, changes);
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
    // Nor to who has the same sub from another issuer (D10).
    stack.use(await acme.listen(EVERYTHING, { sub: 'greedy', iss: 'https://other.test' }));
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

  it('when its time is over, and others go on', async () => {
    await using listener = await acme.listen(EVERYTHING, { sub: 'old' });
    // While a feed is open a write is announced; to feeds that are all over it is not, and they end by the next read without a notice.
    await using stays = await acme.listen(EVERYTHING, { sub: 'young' });
    await asData(postgres, (sql) =>
      sql.query(`update bank.feeds set expires_at = now() where subject = '${ISSUER} old'`),
    );
    await write(acme.bank, (sql) => addNote(sql, 'sales'));
    expect(await listener.closed).toBe('graceful');
    await stays.hears('list_changed');
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

describe('a client of 2026-07-28', () => {
  it('is told that it may subscribe', async () => {
    await using client = await acme.connect();
    expect(client.getServerCapabilities()).toMatchObject({ resources: { subscribe: true, listChanged: true } });
    expect(client.getServerCapabilities()?.tools).toEqual({ listChanged: true });
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
