/** R3.11 without a database: what is gathered for a client, and the pace at which it gets it. */
import { createLogger } from '@bankhouse/core';
import { createMcpHandler, type McpServerFactory, Server } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Bell } from '../src/changes/bell.ts';
import type { Changes, StreamEvents } from '../src/changes/index.ts';
import { type Change, isWatchable, type Notice, Notices } from '../src/changes/notices.ts';
import { withListening } from '../src/mcp/live.ts';
import { ToolRegistry } from '../src/mcp/registry.ts';
import { toAuthInfo } from '../src/mcp/serving.ts';
import { makeAssertion } from './fixtures.ts';

const NOTES = 'bankhouse://acme/notes';

function takeAll(notices: Notices): Notice[] {
  const all: Notice[] = [];
  for (let next = notices.take(); next !== undefined; next = notices.take()) all.push(next);
  return all;
}

const updated = (uri: string): Notice => ({ kind: 'updated', uri });
const LIST: Notice = { kind: 'list_changed' };
const CASES: [string, string[], boolean, Change[], Notice[]][] = [
  ['the row', [`${NOTES}/1`], false, [{ kind: 'notes', id: '1', operation: 'updated' }], [updated(`${NOTES}/1`)]],
  ['no other row', [`${NOTES}/1`], false, [{ kind: 'notes', id: '2', operation: 'updated' }], []],
  ['no row whose id begins the same', [`${NOTES}/1`], false, [{ kind: 'notes', id: '10', operation: 'updated' }], []],
  ['the list of its kind', [NOTES], false, [{ kind: 'notes', id: '1', operation: 'deleted' }], [updated(NOTES)]],
  ['no list of another kind', [NOTES], false, [{ kind: 'tasks', id: '1', operation: 'created' }], []],
  ['the set of resources when a row comes', [], true, [{ kind: 'notes', id: '1', operation: 'created' }], [LIST]],
  ['the set of resources when a row goes', [], true, [{ kind: 'notes', id: '1', operation: 'deleted' }], [LIST]],
  ['not the set of resources when a row changes', [], true, [{ kind: 'notes', id: '1', operation: 'updated' }], []],
  [
    'every row of the kind, the list and the set, of many',
    [NOTES, `${NOTES}/1`, `${NOTES}/2`, 'bankhouse://acme/tasks/1'],
    true,
    [{ kind: 'notes', id: null, operation: 'many' }],
    [updated(NOTES), updated(`${NOTES}/1`), updated(`${NOTES}/2`), LIST],
  ],
  [
    'each URI once, however often it changed',
    [NOTES, `${NOTES}/1`],
    true,
    Array.from({ length: 1000 }, () => ({ kind: 'notes', id: '1', operation: 'created' as const })),
    [updated(NOTES), updated(`${NOTES}/1`), LIST],
  ],
];

describe('a client is told of', () => {
  it.each(CASES)('%s', (_sentence, uris, lists, changes, expected) => {
    const notices = new Notices('acme', { uris, lists });
    for (const change of changes) notices.add(change);
    expect(takeAll(notices)).toEqual(expected);
    expect(notices.take()).toBeUndefined();
  });

  it('everything that it watches when changes were missed', () => {
    const notices = new Notices('acme', { uris: [NOTES, 'bankhouse://acme/tasks/1'], lists: true });
    notices.addAll();
    expect(takeAll(notices)).toEqual([updated(NOTES), updated('bankhouse://acme/tasks/1'), LIST]);
  });
});

it.each<[string, boolean]>([
  [NOTES, true],
  [`${NOTES}/0b5bd7c4-6a3e-4f5e-8f66-2f4a6a0b8a11`, true],
  ['bankhouse://acme/recordings/fathom-12', true],
  ['bankhouse://acme/vaults/hr', true],
  ['bankhouse://acme', false],
  ['bankhouse://acme/notes/', false],
  ['bankhouse://acme/notes/1/2', false],
  ['bankhouse://acme/notes?x=1', false],
  ['bankhouse://globex/notes', false],
  ['bankhouse://acmes/notes', false],
  ['https://acme/notes', false],
  [`${NOTES}\n`, false],
])('%j is watched: %s', (uri, expected) => {
  expect(isWatchable(uri, 'acme')).toBe(expected);
});

describe('a bell', () => {
  afterEach(() => vi.useRealTimers());

  it('wakes who waits, keeps one ring for who comes later, and forgets what was cleared', async () => {
    vi.useFakeTimers();
    const bell = new Bell();
    const waiting = bell.wait(1000);
    bell.ring();
    await waiting;
    await bell.wait(1000);
    bell.clear();
    const late = bell.wait(1000);
    await vi.advanceTimersByTimeAsync(1000);
    await late;
    expect(vi.getTimerCount()).toBe(0);
  });
});

/** A stream on neighbours of its own, opened by the SDK's handler. */
async function openStream(uris: string[]) {
  const notices = new Notices('acme', { uris, lists: true });
  let events: StreamEvents | undefined;
  let closed = 0;
  const changes: Pick<Changes, 'open'> = {
    async open(_caller, _wish, _signal, given) {
      events = given;
      return {
        take: () => notices.take(),
        close: () => {
          closed += 1;
        },
      };
    },
  };
  const factory: McpServerFactory = () =>
    new Server({ name: 'test', version: '1' }, { capabilities: { resources: { subscribe: true, listChanged: true } } });
  const logger = createLogger({ component: 'test', level: 'silent' });
  const handler = withListening(createMcpHandler(factory, { maxSubscriptions: 0 }), {
    factory,
    changes,
    tools: new ToolRegistry([]),
    bank: 'acme',
    logger,
  });
  const abort = new AbortController();
  const body = {
    jsonrpc: '2.0',
    id: 7,
    method: 'subscriptions/listen',
    params: {
      notifications: { resourceSubscriptions: uris, resourcesListChanged: true },
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  };
  const request = new Request('http://bank/mcp/bank-acme', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
    },
    signal: abort.signal,
  });
  const caller = { assertion: makeAssertion('acme'), databaseAssertion: '' };
  const response = await handler.fetch(request, {
    parsedBody: body,
    authInfo: toAuthInfo({ caller, profile: 'full' }),
  });
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  return {
    response,
    handler,
    notices,
    abort,
    events: () => events as StreamEvents,
    closed: () => closed,
    /** The next message of the stream; undefined at its end. */
    async next(): Promise<{ method?: string; params?: { uri?: string }; result?: object } | undefined> {
      const { done, value } = (await reader?.read()) ?? { done: true };
      return done ? undefined : JSON.parse(decoder.decode(value).replace(/^event: message\ndata: /, ''));
    },
  };
}

describe('a stream', () => {
  it('of a client that does not read gathers one notice for each URI, and sends them when it reads on', async () => {
    const uris = [NOTES, `${NOTES}/1`];
    const stream = await openStream(uris);
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    for (let turn = 0; turn < 10_000; turn++) {
      stream.notices.add({ kind: 'notes', id: '1', operation: 'created' });
      stream.events().onNotice();
    }
    expect(await stream.next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    const told: (string | undefined)[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const message = await stream.next();
      told.push(message?.params?.uri ?? message?.method);
    }
    expect(told).toEqual([...uris, 'notifications/resources/list_changed']);
    stream.events().onEnd('expired');
    expect(await stream.next()).toMatchObject({ id: 7, result: { resultType: 'complete' } });
    expect(await stream.next()).toBeUndefined();
    expect(stream.closed()).toBe(1);
  });

  it('tells a client that waits at once', async () => {
    const stream = await openStream([NOTES]);
    await stream.next();
    const next = stream.next();
    stream.notices.add({ kind: 'notes', id: '1', operation: 'updated' });
    stream.events().onNotice();
    expect(await next).toMatchObject({ params: { uri: NOTES } });
    await stream.handler.close();
    expect(await stream.next()).toMatchObject({ result: { resultType: 'complete' } });
  });

  it('whose client went away is closed', async () => {
    const stream = await openStream([NOTES]);
    stream.abort.abort();
    await vi.waitFor(() => expect(stream.closed()).toBe(1));
  });
});
