/** Tools of all three kinds side by side, in a surface that changes while it is served. */
import { createLogger, type ToolProfile } from '@bankhouse/core';
import type { CallToolResult } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Changes, StreamEvents } from '../src/changes/index.ts';
import type { Database } from '../src/database/database.ts';
import { statement } from '../src/database/statement.ts';
import { AnswerBudget } from '../src/mcp/answer-budget.ts';
import { ToolRegistry } from '../src/mcp/registry.ts';
import { serveMcp } from '../src/mcp/serve.ts';
import { toAuthInfo } from '../src/mcp/serving.ts';
import { buildSurface } from '../src/mcp/surface.ts';
import { ToolError } from '../src/mcp/tool-error.ts';
import { defineForwarding, defineTool, type RemoteTool, type Tool } from '../src/mcp/toolset.ts';
import type { Sessions } from '../src/sessions/index.ts';
import { makeAssertion } from './fixtures.ts';

const BANK = 'acme';
const logger = createLogger({ component: 'test', level: 'silent' });

const local = (name: string, more: Partial<Tool> = {}): Tool =>
  defineTool({
    name,
    title: `Title of ${name}`,
    description: `Does ${name}.`,
    access: /^(get|list)_/.test(name) ? 'read' : 'write',
    input: z.strictObject({ text: z.string().default('') }),
    output: z.object({ said: z.string() }),
    async run({ text }, { tx }) {
      await tx.rows(statement({ text: 'select' }));
      return { structured: { said: text }, text };
    },
    ...(more as object),
  });

const remote = (name: string, call: RemoteTool['call'], more: Partial<RemoteTool> = {}): RemoteTool => ({
  name,
  title: `Title of ${name}`,
  description: `Does ${name} elsewhere.`,
  access: /^(get|list)_/.test(name) ? 'read' : 'write',
  inputSchema: { type: 'object', properties: { q: { type: 'string', minLength: 1 } }, $defs: { x: {} } },
  place: 'remote',
  call,
  ...more,
});

const said = (text: string): CallToolResult => ({ content: [{ type: 'text', text }], structuredContent: { text } });

const entry = defineForwarding({
  name: 'create_entry',
  title: 'Create',
  description: 'Creates.',
  access: 'write',
  listedIn: ['compact'],
  input: z.looseObject({ kind: z.enum(['note', 'task']) }),
  inputSchema: () => ({ type: 'object', properties: { kind: { type: 'string' } } }),
  forward: ({ kind, ...args }) => ({ tool: `create_${kind}`, args }),
});

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A bank with these tools; `transactions` tells what was opened, `open` how many there are now. */
function serve(tools: readonly Tool[]) {
  const seen = {
    transactions: [] as ('read' | 'write')[],
    open: 0,
    calls: [] as string[],
    streams: [] as StreamEvents[],
    /** Who wants to hear when the Bank says another profile. */
    followers: new Set<() => void>(),
  };
  const database: Database = {
    async withCaller(_caller, { readOnly }, work) {
      seen.transactions.push(readOnly ? 'read' : 'write');
      seen.open += 1;
      try {
        return await work({ rows: () => Promise.resolve([]) });
      } finally {
        seen.open -= 1;
      }
    },
    loginIsRefused: () => Promise.resolve(false),
    close: () => Promise.resolve(),
  };
  const changes: Changes = {
    openSession: () => Promise.resolve(undefined),
    async open(_caller, _wish, _signal, events) {
      seen.streams.push(events);
      return { take: () => undefined, close() {} };
    },
    async close() {},
  };
  const surface = buildSurface([{ name: 'x', instructions: 'It is here.', tools, resources: [] }]);
  const mcp = serveMcp({
    surface,
    database,
    changes,
    sessions: {} as Sessions,
    logger,
    callLogger: logger,
    bank: BANK,
    bankName: () => 'Acme',
    version: '1',
    bankProfile: {
      onChange(listener) {
        seen.followers.add(listener);
        return () => seen.followers.delete(listener);
      },
    },
    onToolCall: (tool, outcome) => seen.calls.push(`${tool} ${outcome}`),
  });
  closing.push(() => mcp.close());
  const fetchOf = (
    method: string,
    params: Record<string, unknown>,
    asked: {
      scopes?: string[];
      profile?: ToolProfile;
      followsBank?: boolean;
      budget?: AnswerBudget;
      signal?: AbortSignal;
    } = {},
  ) => {
    const { scopes = ['mcp:read', 'mcp:write'], profile = 'full', followsBank = false, budget, signal } = asked;
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof params.name === 'string' ? { 'mcp-name': params.name } : {}),
    };
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const caller = {
      assertion: makeAssertion(BANK, { scopes, access: scopes.includes('mcp:write') ? 'write' : 'read' }),
      databaseAssertion: '1.x.y',
    };
    return mcp.fetch(
      new Request('http://bank/', { method: 'POST', headers, ...(signal === undefined ? {} : { signal }) }),
      {
        authInfo: toAuthInfo({ caller, profile, followsBank, budget }),
        parsedBody: { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } },
      },
    );
  };
  const ask = async (...args: Parameters<typeof fetchOf>) =>
    (await (await fetchOf(...args)).json()) as { result?: Record<string, unknown>; error?: { message: string } };
  const call = async (name: string, args: unknown, asked: Parameters<typeof fetchOf>[2] = {}) =>
    (await ask('tools/call', { name, arguments: args }, asked)).result as CallToolResult;
  return { seen, surface, mcp, ask, call, fetchOf };
}

const textOf = (result: CallToolResult) => (result.content[0] as { text: string }).text;

describe('a call of', () => {
  it('a local tool has a transaction of its access', async () => {
    const { call, seen } = serve([local('get_thing'), local('create_thing')]);
    expect(textOf(await call('get_thing', { text: 'a' }))).toBe('a');
    expect(textOf(await call('create_thing', { text: 'b' }))).toBe('b');
    expect(seen.transactions).toEqual(['read', 'write']);
    expect(seen.calls).toEqual(['get_thing ok', 'create_thing ok']);
  });

  it('a remote tool holds no connection, gets its arguments as they came, and its answer is passed on', async () => {
    const got: unknown[] = [];
    const { call, seen } = serve([
      remote('order_thing', async (args, { caller, bank }) => {
        got.push({ args, bank, sub: caller.assertion.sub, open: seen.open });
        return { ...said('ordered'), _meta: { 'x/y': 1 } };
      }),
    ]);
    expect(await call('order_thing', { q: '', other: [1] })).toMatchObject({ ...said('ordered'), _meta: { 'x/y': 1 } });
    expect(got).toEqual([{ args: { q: '', other: [1] }, bank: BANK, sub: 'someone', open: 0 }]);
    expect(seen.transactions).toEqual([]);
  });

  it.each<[string, RemoteTool['call'], string, string]>([
    ['says it failed', async () => ({ ...said('no stock'), isError: true }), 'upstream_failed', 'no stock'],
    [
      'fails in a way that a model can act on',
      () => Promise.reject(new ToolError('upstream_failed', 'It is slow.', 'Try later.')),
      'upstream_failed',
      'upstream_failed: It is slow. Try later.',
    ],
    [
      'fails in another way',
      () => Promise.reject(new Error('secret at 10.0.0.7')),
      'internal',
      'internal: The call failed for a reason that is not yours. Report the request id.',
    ],
  ])('a remote tool that %s is answered by an error', async (_sentence, answer, outcome, text) => {
    const { call, seen } = serve([remote('order_thing', answer)]);
    const result = await call('order_thing', undefined);
    expect([result.isError, textOf(result)]).toEqual([true, text]);
    expect(seen.calls).toEqual([`order_thing ${outcome}`]);
  });

  it('a remote tool is told when its client goes away', async () => {
    const gone = new AbortController();
    let told: AbortSignal | undefined;
    const { fetchOf } = serve([
      remote('get_weather', (_args, { signal }) => {
        told = signal;
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      }),
    ]);
    const asked = fetchOf('tools/call', { name: 'get_weather' }, { signal: gone.signal });
    asked.catch(() => {});
    await vi.waitUntil(() => told !== undefined);
    gone.abort();
    await vi.waitUntil(() => told?.aborted === true);
  });

  it.each<[string, string, unknown, string]>([
    ['call_tool', 'call_tool', { name: 'get_thing', arguments: { text: 'a' } }, 'get_thing ok'],
    ['call_tool in other words', 'call_tool', { tool: 'get_thing', args: '{"text":"a"}' }, 'get_thing ok'],
    ['call_tool without arguments', 'call_tool', { name: 'get_thing' }, 'get_thing ok'],
    ['a tool by kind', 'create_entry', { kind: 'notes', text: 'a' }, 'create_note ok'],
    ['one through the other', 'call_tool', { name: 'create_entry', arguments: { kind: 'task' } }, 'create_task ok'],
    ['call_tool through itself', 'call_tool', { name: 'call_tool', arguments: { name: 'get_thing' } }, 'get_thing ok'],
    ['no tool', 'call_tool', { name: 'get_thin' }, 'call_tool not_found'],
    ['wrong arguments', 'call_tool', { name: 'get_thing', arguments: { text: {} } }, 'get_thing invalid_argument'],
    ['nothing', 'call_tool', {}, 'call_tool invalid_argument'],
    ['an unknown kind', 'create_entry', { kind: 'recipe' }, 'create_entry invalid_argument'],
  ])('%s is counted as the call that it comes to', async (_sentence, name, args, counted) => {
    const { call, seen } = serve([local('get_thing'), local('create_note'), local('create_task'), entry]);
    const result = await call(name, args);
    expect(seen.calls).toEqual([counted]);
    expect(result.isError === true).toBe(!counted.endsWith(' ok'));
  });

  it('call_tool through itself again and again comes to nothing: each time costs as much as reading its arguments', async () => {
    const { call, mcp, seen } = serve([local('get_thing')]);
    let args: unknown = { name: 'get_thing' };
    for (let turn = 0; turn < 60; turn++) args = { name: 'call_tool', arguments: args };
    expect(textOf(await call('call_tool', args))).toMatch(
      'invalid_argument: The call is forwarded more than 4 times. Name the tool that is meant',
    );
    expect(seen.calls).toEqual(['call_tool invalid_argument']);
    expect(mcp.answering('call_tool', args)).toBe('call_tool');
  });

  it('a tool that is not there, through call_tool, is answered with the nearest and how to find others', async () => {
    const { call } = serve([local('get_thing')]);
    expect(textOf(await call('call_tool', { name: 'get_thin' }))).toBe(
      'not_found: There is no tool "get_thin". Did you mean get_thing? find_tools finds tools by words.',
    );
  });

  it.each<[string, string, unknown]>([
    ['a writer', 'create_note', {}],
    ['a writer through call_tool', 'call_tool', { name: 'create_note' }],
    ['a writer by kind through call_tool', 'call_tool', { name: 'create_entry', arguments: { kind: 'note' } }],
    ['a remote writer through call_tool', 'call_tool', { name: 'order_thing' }],
  ])('%s by a reader runs nothing, even past the door', async (_sentence, name, args) => {
    const ordered = vi.fn(async () => said('ordered'));
    const { call, seen } = serve([local('create_note'), entry, remote('order_thing', ordered)]);
    expect(textOf(await call(name, args, { scopes: ['mcp:read'] }))).toMatch(
      /^forbidden: .* needs the scope mcp:write/,
    );
    expect(seen.transactions).toEqual([]);
    expect(ordered).not.toHaveBeenCalled();
  });
});

describe('the registry', () => {
  it.each<[string, Tool[], string]>([
    ['two tools of one name', [local('get_a'), local('get_a')], 'Two tools are named get_a.'],
    ['a tool named as one of its own', [local('find_tools')], 'Two tools are named find_tools.'],
  ])('takes no %s, and stays as it was', (_sentence, tools, message) => {
    const registry = new ToolRegistry([local('get_first')]);
    expect(() => registry.replace(tools)).toThrow(message);
    expect(registry.has('get_first')).toBe(true);
    expect(() => new ToolRegistry(tools)).toThrow(message);
  });

  it('lists a remote tool in its own words, with the schema as it came', () => {
    const [listed] = new ToolRegistry([remote('order_thing', async () => said(''))]).list('full').tools;
    expect(listed).toMatchObject({
      description: 'Does order_thing elsewhere.',
      inputSchema: { properties: { q: { minLength: 1 } }, $defs: { x: {} } },
    });
  });

  it.each<[ToolProfile, string[]]>([
    ['full', ['get_thing', 'order_thing']],
    ['compact', ['get_thing', 'order_thing', 'create_entry']],
    ['search', ['find_tools', 'call_tool']],
  ])('lists in %s what belongs there', async (profile, names) => {
    const { ask } = serve([
      local('get_thing'),
      remote('order_thing', async () => said('')),
      local('get_off', { listedIn: [] }),
      entry,
    ]);
    expect((await ask('tools/list', {}, { profile })).result?.tools).toMatchObject(names.map((name) => ({ name })));
  });

  it('that is given other tools offers those to the next call, and the one under way ends', async () => {
    const { promise, resolve } = Promise.withResolvers<CallToolResult>();
    const first = vi.fn(() => promise);
    const { call, ask, surface } = serve([remote('get_first', first)]);
    const underWay = call('get_first', {});
    await vi.waitUntil(() => first.mock.calls.length === 1);
    surface.tools.replace([remote('get_second', async () => said('second'))]);
    expect(textOf(await call('get_second', {}))).toBe('second');
    expect((await ask('tools/call', { name: 'get_first' })).error?.message).toMatch('There is no tool get_first');
    resolve(said('first'));
    expect(textOf(await underWay)).toBe('first');
    expect((await ask('tools/list', {})).result?.tools).toMatchObject([{ name: 'get_second' }]);
  });

  it.each<[string, Tool[], number]>([
    ['another tool', [local('get_a'), local('get_b')], 1],
    ['other words', [local('get_a', { description: 'Other words.' })], 1],
    ['a tool that no profile lists, but not of that', [local('get_a'), local('get_c', { listedIn: [] })], 0],
    ['the same tools, but not of those', [local('get_a')], 0],
  ])('given %s: tells who listens', (_sentence, tools, times) => {
    const registry = new ToolRegistry([local('get_a')]);
    const heard = vi.fn();
    const gone = vi.fn();
    registry.onChange(heard);
    registry.onChange(gone)();
    registry.replace(tools);
    expect([heard.mock.calls.length, gone.mock.calls.length]).toEqual([times, 0]);
  });
});

describe('what is made of the tools', () => {
  it('is made when it is first asked for, and anew when there are others', () => {
    const registry = new ToolRegistry([local('get_a')]);
    const make = vi.fn((tools: readonly Tool[]) => tools.length);
    const made = registry.derived(make);
    expect(make).not.toHaveBeenCalled();
    expect([made(), made(), make.mock.calls.length]).toEqual([3, 3, 1]);
    registry.replace([local('get_a'), local('get_b')]);
    expect([made(), made(), make.mock.calls.length]).toEqual([4, 4, 2]);
  });

  it('is in find_tools what its words are looked up in: the tools that there are now', async () => {
    const { call, surface } = serve([local('get_first')]);
    const found = async () =>
      ((await call('find_tools', { query: 'get first second' })).structuredContent as { tools: { name: string }[] })
        .tools;
    expect([await found(), await found()]).toMatchObject([[{ name: 'get_first' }], [{ name: 'get_first' }]]);
    surface.tools.replace([local('get_second')]);
    expect(await found()).toMatchObject([{ name: 'get_second' }]);
  });
});

describe('a client that listens', () => {
  async function listen(bank: ReturnType<typeof serve>, notifications: object, followsBank = false) {
    const abort = new AbortController();
    const asked = { signal: abort.signal, followsBank };
    const response = await bank.fetchOf('subscriptions/listen', { notifications }, asked);
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    const next = async () => {
      const { done, value } = (await reader?.read()) ?? { done: true };
      return done ? undefined : JSON.parse(decoder.decode(value).replace(/^event: message\ndata: /, ''));
    };
    return { abort, next, acknowledged: await next() };
  }

  it('for tools is told when there are others, and not a hundred times when it does not read', async () => {
    const bank = serve([local('get_a')]);
    const stream = await listen(bank, { toolsListChanged: true });
    expect(stream.acknowledged.params.notifications).toEqual({ toolsListChanged: true });
    const told = stream.next();
    bank.surface.tools.replace([local('get_a'), local('get_b')]);
    expect(await told).toMatchObject({ method: 'notifications/tools/list_changed' });
    for (let turn = 0; turn < 100; turn++) bank.surface.tools.replace([local(`get_${turn % 2}`)]);
    bank.seen.streams[0]?.onEnd('expired');
    const rest = [];
    for (let each = await stream.next(); each !== undefined; each = await stream.next()) rest.push(each);
    // One is on its way while the next is gathered.
    expect(rest.length).toBeLessThanOrEqual(3);
    expect(rest[0]).toMatchObject({ method: 'notifications/tools/list_changed' });
    expect(rest.at(-1)).toMatchObject({ result: { resultType: 'complete' } });
  });

  it('for tools is told when the Bank says another profile, where its URL says none', async () => {
    const bank = serve([local('get_a')]);
    const follower = await listen(bank, { toolsListChanged: true }, true);
    await listen(bank, { toolsListChanged: true }, false);
    await listen(bank, { resourcesListChanged: true }, true);
    expect(bank.seen.followers.size).toBe(1);
    const told = follower.next();
    for (const hear of bank.seen.followers) hear();
    expect(await told).toMatchObject({ method: 'notifications/tools/list_changed' });
    for (const stream of bank.seen.streams) stream.onEnd('expired');
    expect(await follower.next()).toMatchObject({ result: { resultType: 'complete' } });
    await vi.waitUntil(() => bank.seen.followers.size === 0);
  });

  it('for something else hears nothing of tools', async () => {
    const bank = serve([local('get_a')]);
    const stream = await listen(bank, { toolsListChanged: false, promptsListChanged: true });
    bank.surface.tools.replace([local('get_b')]);
    bank.seen.streams[0]?.onEnd('expired');
    expect(await stream.next()).toMatchObject({ result: { resultType: 'complete' } });
  });
});

describe('the answers of one batch', () => {
  const long = (name: string, characters: number) =>
    remote(name, async () => ({ content: [{ type: 'text', text: 'x'.repeat(characters) }] }));
  const tools = [long('get_half', 500), long('get_all', 3000), long('change_much', 900), local('create_thing')];

  it.each<[string, string[], string[]]>([
    ['that fit are given', ['get_half', 'get_half'], ['ok', 'ok']],
    ['have one that is longer than all may be, when it is the first', ['get_all'], ['ok']],
    ['leave out what is too long beside the others', ['get_half', 'get_all'], ['ok', 'batch_too_long']],
    ['go on with what fits after that', ['get_half', 'get_all', 'get_half'], ['ok', 'batch_too_long', 'ok']],
    ['always say what was changed', ['get_half', 'get_half', 'change_much'], ['ok', 'ok', 'ok']],
    ['end before anything else is done', ['get_all', 'create_thing'], ['ok', 'batch_too_long']],
  ])('%s', async (_sentence, names, outcomes) => {
    const { call, seen } = serve(tools);
    const budget = new AnswerBudget(1200);
    for (const name of names) await call(name, {}, { budget });
    expect(seen.calls).toEqual(names.map((name, index) => `${name} ${outcomes[index]}`));
    expect(seen.transactions).toEqual([]);
  });
});
