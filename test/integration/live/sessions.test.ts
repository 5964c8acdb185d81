/** Sessions of MCP 2025-11-25 and before (ADR 33): what they watch is told at whichever replica they listen, and to nobody else. */
import type { Assertion } from '@bankhouse/core';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { shared } from '../../harness/shared.ts';
import { SOON } from '../../harness/soon.ts';
import { type Acme, NOTES, noteUri, type Replicas, rename, runReplicas, startAcme } from './replicas.ts';
import { addNote, asData, connect, write } from './support.ts';

let { postgres, acme } = {} as Acme;
shared(startAcme, (started) => {
  ({ postgres, acme } = started);
});

const REVISION = '2025-11-25';

/** A session by hand, to be used at any replica. */
interface Session {
  readonly id: string;
  request(
    method: string,
    options?: { replica?: number; body?: unknown; headers?: Record<string, string> },
  ): Promise<Response>;
  /** A JSON-RPC request; its answer's status, result and error. */
  call(
    method: string,
    params?: object,
    replica?: number,
  ): Promise<{ status: number; result?: unknown; error?: unknown }>;
  subscribe(uri: string, replica?: number): Promise<void>;
  listen(options?: { replica?: number; lastEventId?: string | undefined; revision?: string }): Promise<Stream>;
}

interface Stream extends AsyncDisposable {
  /** URIs that were updated, and methods of other notifications, in order of arrival. */
  readonly heard: string[];
  readonly lastId: string | undefined;
  hears(...notices: string[]): Promise<void>;
  /** When the server has ended it. */
  readonly ended: Promise<void>;
}

/** @param changes of every assertion of its caller */
async function begin(changes: Partial<Assertion> = {}, of: Replicas = acme): Promise<Session> {
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: REVISION, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
  };
  const id = (await send(of, 'POST', { body: initialize }, changes)).headers.get('mcp-session-id') ?? '';
  return inSession(id, changes, of);
}

function send(
  of: Replicas,
  method: string,
  { replica = 0, body, headers = {} }: { replica?: number; body?: unknown; headers?: Record<string, string> },
  changes: Partial<Assertion>,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(of.urls[replica] ?? '', {
    method,
    headers: {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': REVISION,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...of.headers(changes),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function inSession(id: string, changes: Partial<Assertion> = {}, of: Replicas = acme): Session {
  const own = { 'mcp-session-id': id };
  const call: Session['call'] = async (method, params = {}, replica = 0) => {
    const body = { jsonrpc: '2.0', id: 2, method, params };
    const response = await send(of, 'POST', { replica, body, headers: own }, changes);
    return { status: response.status, ...(JSON.parse(await response.text()) as object) };
  };
  return {
    id,
    call,
    request: (method, options = {}) =>
      send(of, method, { ...options, headers: { ...own, ...options.headers } }, changes),
    async subscribe(uri, replica = 0) {
      expect(await call('resources/subscribe', { uri }, replica)).toMatchObject({ status: 200, result: {} });
    },
    async listen({ replica = 0, lastEventId, revision = REVISION } = {}) {
      const abort = new AbortController();
      const headers = {
        ...own,
        'mcp-protocol-version': revision,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      };
      const response = await send(of, 'GET', { replica, headers }, changes, abort.signal);
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
      return streamOf(response, abort);
    },
  };
}

function streamOf(response: Response, abort: AbortController): Stream {
  const heard: string[] = [];
  const seen: { id: string | undefined } = { id: undefined };
  const take = (event: string) => {
    const field = (name: string) =>
      event
        .split('\n')
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2);
    const data = field('data');
    if (data !== undefined && data !== '') {
      const { method, params } = JSON.parse(data) as { method: string; params?: { uri: string } };
      heard.push(params?.uri ?? method.replace('notifications/', ''));
    }
    seen.id = field('id') ?? seen.id;
  };
  const read = async () => {
    let rest = '';
    for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const events = (rest + text).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) take(event);
    }
  };
  const ended = read();
  ended.catch(() => {});
  return {
    heard,
    ended,
    get lastId() {
      return seen.id;
    },
    async hears(...notices) {
      await expect.poll(() => heard, SOON).toEqual(expect.arrayContaining(notices));
      heard.length = 0;
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      await ended.catch(() => {});
    },
  };
}

const LIST = 'resources/list_changed';

describe('a client of the SDK', () => {
  it('is given a session, offered what it can listen to, and told', async () => {
    const client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(acme.urls[0] ?? ''), {
      requestInit: { headers: acme.headers() },
    });
    const heard: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri);
    });
    client.setNotificationHandler('notifications/resources/list_changed', () => {
      heard.push(LIST);
    });
    await client.connect(transport);
    expect(client.getServerCapabilities()).toMatchObject({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
    });
    expect(transport.sessionId).toMatch(/^1\./);
    await client.subscribeResource({ uri: NOTES });
    // It listens by itself, without telling since when.
    await expect.poll(() => acme.feeds(), SOON).toBe(1);
    await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await expect.poll(() => heard, SOON).toEqual([NOTES, LIST]);
    await transport.terminateSession();
    await client.close();
    await expect.poll(() => acme.feeds(), SOON).toBe(0);
  });
});

describe('a session', () => {
  it('watches through one replica what it hears at another, until it doesn’t any more', async () => {
    const [id, other] = [
      await write(acme.bank, (sql) => addNote(sql, 'sales')),
      await write(acme.bank, (sql) => addNote(sql, null)),
    ];
    const session = await begin({ sub: 'two-replicas' });
    await session.subscribe(noteUri(id), 1);
    await using stream = await session.listen({ replica: 0 });
    await session.subscribe(noteUri(other), 1);
    await rename(acme.bank, id, 'new');
    await stream.hears(noteUri(id));
    await rename(acme.bank, other, 'new');
    await stream.hears(noteUri(other));
    expect(await session.call('resources/unsubscribe', { uri: noteUri(id) }, 1)).toMatchObject({ status: 200 });
    await rename(acme.bank, id, 'newer');
    await rename(acme.bank, other, 'newer');
    await stream.hears(noteUri(other));
    await session.request('DELETE');
  });

  it('hears what its caller may see, and nothing of the rest', async () => {
    const session = await begin({ sub: 'of-hr', vaults: ['hr'] });
    await session.subscribe(NOTES);
    await using stream = await session.listen({ replica: 1 });
    const hidden = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await session.subscribe(noteUri(hidden));
    await rename(acme.bank, hidden, 'still hidden');
    await write(acme.bank, (sql) => addNote(sql, 'hr'));
    await expect.poll(() => stream.heard, SOON).toEqual([NOTES, LIST]);
  });

  it('goes on from the event that it had last, at another replica', async () => {
    const [id, other] = [
      await write(acme.bank, (sql) => addNote(sql, 'sales')),
      await write(acme.bank, (sql) => addNote(sql, null)),
    ];
    const session = await begin({ sub: 'resumes' });
    await session.subscribe(noteUri(id));
    const first = await session.listen({ replica: 0 });
    await rename(acme.bank, id, 'heard');
    await first.hears(noteUri(id));
    await first[Symbol.asyncDispose]();
    const { lastId } = first;
    expect(lastId).toMatch(/^1\./);
    await rename(acme.bank, id, 'missed');
    await rename(acme.bank, other, 'not watched');
    await using afresh = await session.listen({ replica: 1 });
    await using resumed = await session.listen({ replica: 1, lastEventId: lastId });
    await expect.poll(() => resumed.heard, SOON).toEqual([noteUri(id)]);
    await afresh.ended;
    expect(afresh.heard).toEqual([]);
    const later = resumed.lastId;
    expect(later).not.toBe(lastId);
    await using again = await session.listen({ replica: 0, lastEventId: later });
    await rename(acme.bank, id, 'new');
    await expect.poll(() => again.heard, SOON).toEqual([noteUri(id)]);
  });

  it('is told to read everything again where what it missed is not kept', async () => {
    const session = await begin({ sub: 'behind' });
    await session.subscribe(NOTES);
    const first = await session.listen();
    await expect.poll(() => first.lastId, SOON).toBeDefined();
    await first[Symbol.asyncDispose]();
    await write(acme.bank, (sql) => addNote(sql, null));
    await asData(postgres, (sql) =>
      sql.query(
        `insert into bank.change_floors as f (bank_id, pruned) values ('acme', pg_snapshot_xmax(pg_current_snapshot()))
           on conflict (bank_id) do update set pruned = excluded.pruned`,
      ),
    );
    await using resumed = await session.listen({ lastEventId: first.lastId });
    await resumed.hears(NOTES, LIST);
    await asData(postgres, (sql) => sql.query("update bank.change_floors set pruned = '0' where bank_id = 'acme'"));
  });

  it('tells clients before 2025-11-25 no place without a message', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, null));
    const session = await begin({ sub: 'older' });
    await session.subscribe(noteUri(id));
    await using stream = await session.listen({ revision: '2025-06-18' });
    expect(stream.lastId).toBeUndefined();
    await rename(acme.bank, id, 'new');
    await stream.hears(noteUri(id));
    expect(stream.lastId).toBeDefined();
  });

  it('has one stream: a second one, at whichever replica, takes the place of the first', async () => {
    const session = await begin({ sub: 'twice' });
    await using first = await session.listen({ replica: 0 });
    await using second = await session.listen({ replica: 1 });
    await first.ended;
    await session.subscribe(NOTES);
    await write(acme.bank, (sql) => addNote(sql, null));
    await second.hears(NOTES);
    expect(first.heard).toEqual([]);
  });

  it('that is ended is nowhere any more, and its stream ends', async () => {
    const session = await begin({ sub: 'ends' });
    await session.subscribe(NOTES);
    await using stream = await session.listen({ replica: 1 });
    expect((await session.request('DELETE', { replica: 0 })).status).toBe(204);
    await stream.ended;
    const statuses = async (replica: number) => [
      (await session.request('GET', { replica })).status,
      (await session.request('DELETE', { replica })).status,
      (await session.call('resources/list', {}, replica)).status,
    ];
    expect(await statuses(0)).toEqual([404, 404, 404]);
    // The other one knew it to be there a moment ago.
    await expect.poll(() => statuses(1), SOON).toEqual([404, 404, 404]);
    expect(await acme.feeds()).toBe(0);
  });

  it('that never watched anything can be ended too', async () => {
    const session = await begin({ sub: 'ends-at-once' });
    expect((await session.request('DELETE', { replica: 0 })).status).toBe(204);
    expect((await session.call('resources/list', {}, 1)).status).toBe(404);
    expect((await session.call('ping', {}, 0)).status).toBe(404);
  });

  it.each<[sentence: string, of: (id: string) => Session]>([
    ['of another subject', (id) => inSession(id, { sub: 'mallory' })],
    ['of the same name by another issuer', (id) => inSession(id, { sub: 'owner', iss: 'https://other.test' })],
    [
      'made up',
      () => inSession('1.abcdef.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', { sub: 'owner' }),
    ],
    ['in another form', () => inSession('0f3d0000-0000-4000-8000-000000000001', { sub: 'owner' })],
  ])('%s is answered as one that there never was', async (_sentence, of) => {
    const owner = await begin({ sub: 'owner' });
    await owner.subscribe(NOTES);
    const stranger = of(owner.id);
    const answers = [await stranger.request('GET'), await stranger.request('DELETE')];
    expect(answers.map(({ status }) => status)).toEqual([404, 404]);
    expect(await stranger.call('resources/subscribe', { uri: NOTES })).toMatchObject({
      status: 404,
      error: { data: { code: 'session_unknown' } },
    });
    expect((await stranger.call('tools/list')).status).toBe(404);
    expect((await owner.call('resources/list')).status).toBe(200);
  });

  it('of one bank is none of another', async () => {
    await using globex = await runReplicas(postgres, 'globex');
    const session = await begin();
    expect((await inSession(session.id, {}, globex).call('tools/list')).status).toBe(404);
  });

  it.each<[sentence: string, run: () => Promise<unknown>, expected: object]>([
    [
      'a URI that is not of this bank',
      async () => (await begin()).call('resources/subscribe', { uri: 'bankhouse://globex/notes' }),
      { status: 200, error: { code: -32602 } },
    ],
    [
      'a URI of nothing',
      async () => (await begin()).call('resources/subscribe', { uri: 'file:///etc/passwd' }),
      { status: 200, error: { code: -32602 } },
    ],
    [
      'a subscription without a session',
      async () => {
        const body = { jsonrpc: '2.0', id: 2, method: 'resources/subscribe', params: { uri: NOTES } };
        const response = await send(acme, 'POST', { body }, {});
        return { status: response.status, ...((await response.json()) as object) };
      },
      { status: 200, error: { code: -32602, message: expect.stringContaining('Mcp-Session-Id') } },
    ],
    ['a stream without a session', async () => ({ status: (await send(acme, 'GET', {}, {})).status }), { status: 405 }],
    [
      'a stream for who may not read',
      async () => ({ status: (await (await begin({ access: 'none', scopes: ['mcp:write'] })).request('GET')).status }),
      { status: 405 },
    ],
    [
      'a stream to who takes none',
      async () => ({
        status: (await (await begin()).request('GET', { headers: { accept: 'application/json' } })).status,
      }),
      { status: 406 },
    ],
    [
      'an event that was never told',
      async () => ({
        status: (await (await begin()).request('GET', { headers: { 'last-event-id': '751:751:' } })).status,
      }),
      { status: 400 },
    ],
  ])('refuses %s', async (_sentence, run, expected) => {
    expect(await run()).toMatchObject(expected);
  });

  it('doesn’t go on from the event of another session', async () => {
    const [one, other] = [await begin({ sub: 'has-two' }), await begin({ sub: 'has-two' })];
    await using stream = await one.listen();
    await expect.poll(() => stream.lastId, SOON).toBeDefined();
    const response = await other.request('GET', { headers: { 'last-event-id': stream.lastId ?? '' } });
    expect(response.status).toBe(400);
  });

  it('counts its streams among those of its subject', async () => {
    await using streams = new AsyncDisposableStack();
    for (let n = 0; n < 16; n++) streams.use(await (await begin({ sub: 'greedy' })).listen());
    expect((await (await begin({ sub: 'greedy' })).request('GET')).status).toBe(503);
  });

  it('hears nothing any more once its token is revoked', async () => {
    const session = await begin({ sub: 'revoked', jti: 'revoked-session' });
    await using stream = await session.listen();
    await asData(postgres, async (sql) => {
      await sql.query(
        "insert into bank.revoked_tokens (jti, expires_at) values ('revoked-session', now() + interval '1 hour')",
      );
    });
    await session.subscribe(NOTES);
    await write(acme.bank, (sql) => addNote(sql, null));
    await stream.ended;
    expect(stream.heard).toEqual([]);
  });

  it('is no matter of 2026-07-28', async () => {
    await using client = await acme.connect();
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
  });
});

describe('what the database keeps of sessions', () => {
  const uuid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const state = async (of: Replicas, sub: string, text: string, values: unknown[]) => {
    await using sql = await connect(of.bank.url);
    await sql.query('begin read write');
    await sql.query("select set_config('bankhouse.assertion', $1, true)", [of.bank.seal({ sub })]);
    const { rows } = await sql.query<{ state: unknown }>(text, values);
    await sql.query('commit');
    return rows.map((row) => row.state);
  };
  const counted = (where: string) =>
    asData(postgres, async (sql) => {
      const { rows } = await sql.query<{ n: number }>(`select count(*)::int as n from bank.sessions where ${where}`);
      return rows[0]?.n;
    });

  it('watches 256 URIs of a session, and refuses the next', async () => {
    const watch = 'select api.watch($1, $2 || n) as state from generate_series(1, 257) n order by n';
    const states = await state(acme, 'many-uris', watch, [uuid(1), `${NOTES}/`]);
    expect([states.filter((each) => each === 'watched').length, states.at(-1)]).toEqual([256, 'full']);
    expect(await state(acme, 'many-uris', 'select api.watch($1, $2) as state', [uuid(1), `${NOTES}/1`])).toEqual([
      'watched',
    ]);
  });

  it('keeps 64 sessions of a subject, and ends the one that was not used for longest', async () => {
    for (let n = 100; n < 165; n++)
      await state(acme, 'many-sessions', 'select api.watch($1, $2) as state', [uuid(n), NOTES]);
    expect(await counted("subject like '% many-sessions' and not ended")).toBe(64);
    expect(await state(acme, 'many-sessions', 'select api.watch($1, $2) as state', [uuid(100), NOTES])).toEqual([
      'over',
    ]);
    expect(
      await state(acme, 'many-sessions', 'select api.session_is_over(u) as state from unnest($1::uuid[]) u', [
        [uuid(100), uuid(101)],
      ]),
    ).toEqual([true, false]);
  });

  it('keeps 256 of those of a subject that ended', async () => {
    await state(
      acme,
      'many-ends',
      "select api.end_session(('00000000-0000-4000-8001-' || lpad(n::text, 12, '0'))::uuid) as state from generate_series(1, 300) n",
      [],
    );
    expect(await counted("subject like '% many-ends'")).toBe(256);
  });

  it('forgets sessions whose time has come', async () => {
    await state(acme, 'old', 'select api.watch($1, $2) as state', [uuid(2), NOTES]);
    await asData(postgres, (sql) =>
      sql.query("update bank.sessions set expires_at = now() where subject like '% old'"),
    );
    await state(acme, 'young', 'select api.watch($1, $2) as state', [uuid(3), NOTES]);
    expect(await counted("subject like '% old'")).toBe(0);
  });

  it.each<[sentence: string, text: string, expected: unknown]>([
    ['watched', 'select api.watch($1, $2) as state', 'over'],
    ['unwatched', 'select api.unwatch($1, $2) as state', 'over'],
    ['listened to', 'select feed as state from api.open_session_feed($1) where $2::text is not null', null],
    ['told to be over', 'select api.session_is_over($1) as state where $2::text is not null', false],
    ['ended', 'select api.end_session($1)::text as state where $2::text is not null', ''],
  ])('of one subject it can’t be %s by another', async (_sentence, text, expected) => {
    await state(acme, 'ann', 'select api.watch($1, $2) as state', [uuid(4), NOTES]);
    expect(await state(acme, 'bob', text, [uuid(4), NOTES])).toEqual([expected]);
    expect(await counted(`id = '${uuid(4)}' and subject like '% ann' and not ended and uris = '{${NOTES}}'`)).toBe(1);
  });

  it('writes nothing down without a valid assertion', async () => {
    await using sql = await connect(acme.bank.url);
    await sql.query('begin read write');
    await expect(sql.query('select api.watch($1, $2)', [uuid(5), NOTES])).rejects.toMatchObject({ code: '42501' });
  });
});
