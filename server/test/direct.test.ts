/** Calls that go to one Server for all callers (ADR 15): it serves as the SDK's handler does, and no two calls meet. */
import { createLogger } from '@bankhouse/core';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { startBankServer } from '../src/bank-server.ts';
import type { Caller } from '../src/caller.ts';
import type { Changes } from '../src/changes/index.ts';
import { loadServerConfig } from '../src/config.ts';
import type { Database } from '../src/database/database.ts';
import { type McpService, serveMcp } from '../src/mcp/serve.ts';
import { toAuthInfo } from '../src/mcp/serving.ts';
import { buildSurface } from '../src/mcp/surface.ts';
import { defineTool, type Toolset } from '../src/mcp/toolset.ts';
import type { Sessions } from '../src/sessions/index.ts';
import { makeAssertion, makeSecretDir, sealedHeaders } from './fixtures.ts';

const BANK = 'acme';
const MODERN = '2026-07-28';
const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';
const logger = createLogger({ component: 'test', level: 'silent' });

/** A call that waits in its tool. */
interface Entered {
  readonly sub: string;
  readonly signal: AbortSignal | undefined;
  leave(): void;
}

/** `get_who` answers with its caller, at once or once it is let go; `get_twice` is another tool. */
function makeBank(options: { wait: boolean }) {
  const entered: Entered[] = [];
  const database: Database = {
    async withCaller(caller, { signal }, work) {
      if (options.wait) {
        await new Promise<void>((leave) => entered.push({ sub: caller.assertion.sub, signal, leave }));
      }
      return work({ rows: () => Promise.resolve([]) });
    },
    loginIsRefused: () => Promise.resolve(false),
    close: () => Promise.resolve(),
  };
  const tool = (name: string) =>
    defineTool({
      name,
      title: 'Who',
      description: 'Says who calls.',
      access: 'read',
      input: z.strictObject({ text: z.string().default('') }),
      output: z.object({ sub: z.string(), sealed: z.string(), said: z.string() }),
      async run({ text }, { caller }) {
        const structured = { sub: caller.assertion.sub, sealed: caller.databaseAssertion, said: text };
        return { structured, text: caller.assertion.sub };
      },
    });
  const toolset: Toolset = {
    name: 'who',
    instructions: '',
    tools: [tool('get_who'), tool('get_twice')],
    resources: [],
  };
  return { entered, database, toolset };
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function serve(options: { wait: boolean }) {
  const { entered, database, toolset } = makeBank(options);
  const surface = buildSurface([toolset]);
  const mcp = serveMcp({
    surface,
    database,
    changes: {} as Changes,
    sessions: {} as Sessions,
    logger,
    callLogger: logger,
    bank: BANK,
    bankName: () => 'Acme',
    version: '1',
  });
  closing.push(() => mcp.close());
  return { entered, mcp };
}

const callerNamed = (sub: string): Caller => ({
  assertion: makeAssertion(BANK, { sub }),
  databaseAssertion: `1.of-${sub}.mac`,
});
const GOOD_HEADERS = { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'get_who' };
const goodBody = (id: string | number = 1, args: Record<string, unknown> = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'get_who', arguments: args, _meta: { [VERSION_KEY]: MODERN, [CAPABILITIES_KEY]: {} } },
});
const open = (mcp: McpService, sub: string, body: unknown = goodBody()) => {
  const call = mcp.direct.open(GOOD_HEADERS, body, toAuthInfo({ caller: callerNamed(sub), profile: 'full' }));
  if (call === undefined) throw new Error('not served directly');
  return call;
};
const resultFor = (sub: string) => ({
  id: 1,
  result: { structuredContent: { sub, sealed: `1.of-${sub}.mac` }, resultType: 'complete' },
});

/** The value that is right, more often than one of the others. */
const mostly = <T>(right: T, ...others: unknown[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant<unknown>(right) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
const ABSENT = Symbol('absent');
/** A record of what is mostly right, from which anything may be absent. */
const record = (fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc
    .record(fields)
    .map(
      (all) =>
        Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ABSENT)) as Record<string, unknown>,
    );
const META = record({
  [VERSION_KEY]: mostly(MODERN, ABSENT, '2025-11-25', '2031-01-01', '2026-07-29', 7, null, ' 2026-07-28'),
  [CAPABILITIES_KEY]: mostly({}, ABSENT, null, 'none', [], { elicitation: 7 }, { sampling: {}, roots: {} }),
  'io.modelcontextprotocol/clientInfo': mostly({ name: 'c', version: '1' }, ABSENT, 'c', { name: 7 }, null),
  'io.modelcontextprotocol/logLevel': mostly(ABSENT, 'debug', 'loud', 7),
  progressToken: mostly(ABSENT, 1, 'token', {}, null, 1.5),
  other: mostly(ABSENT, {}, null),
});
const PARAMS = record({
  name: mostly('get_who', ABSENT, 'get_twice', 'get_none', 7, '=?base64?Z2V0X3dobw==?='),
  arguments: mostly({ text: 'hello' }, ABSENT, {}, { text: 7 }, { unknown: 1 }, [], 'text', null),
  _meta: fc.oneof({ weight: 20, arbitrary: META }, { weight: 1, arbitrary: fc.constantFrom(ABSENT, null, [], 'meta') }),
  requestState: mostly(ABSENT, 'state', 7, null),
  inputResponses: mostly(ABSENT, {}, { a: { action: 'accept' } }, { a: 7 }, 'none', []),
  task: mostly(ABSENT, {}, { ttl: 'x' }),
});
const BODY = fc.oneof(
  {
    weight: 30,
    arbitrary: record({
      jsonrpc: mostly('2.0', ABSENT, '1.0', 2),
      id: mostly(1, ABSENT, 'one', 0, -1, null, 1.5, {}, '', Number.MAX_SAFE_INTEGER),
      method: mostly('tools/call', ABSENT, 'tools/list', 'tools/destroy', 'subscriptions/listen', 'initialize', 7),
      params: fc.oneof(
        { weight: 20, arbitrary: PARAMS },
        { weight: 1, arbitrary: fc.constantFrom(ABSENT, null, [], 'x') },
      ),
      result: mostly(ABSENT, {}),
      error: mostly(ABSENT, { code: 1, message: 'x' }),
      extra: mostly(ABSENT, 1),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<unknown>([goodBody()], [], null, 'text', 7, {}) },
);
const HEADERS = record({
  'mcp-protocol-version': mostly(MODERN, ABSENT, '2025-11-25', '2031-01-01', `${MODERN}, ${MODERN}`),
  'mcp-method': mostly('tools/call', ABSENT, 'tools/list', 'TOOLS/CALL', 'tools/call, tools/call'),
  'mcp-name': mostly('get_who', ABSENT, 'get_twice', 'get_none', '=?base64?Z2V0X3dobw==?=', '=?base64?*?='),
});

describe('the short way', () => {
  it('answers what it takes as the SDK answers it, with 200, and takes what is plain', async () => {
    const { mcp } = serve({ wait: false });
    const authInfo = toAuthInfo({ caller: callerNamed('ann'), profile: 'full' });
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(HEADERS, BODY, async (headers, body) => {
        const given = headers as Record<string, string>;
        const call = mcp.direct.open(given, body, authInfo);
        if (call === undefined) return;
        taken++;
        const request = new Request('http://bank/', {
          method: 'POST',
          headers: { ...given, 'content-type': 'application/json' },
        });
        const response = await mcp.fetch(request, { authInfo, parsedBody: body });
        expect({ status: 200, type: 'application/json', body: JSON.parse(JSON.stringify(await call.answer)) }).toEqual({
          status: response.status,
          type: response.headers.get('content-type'),
          body: await response.json(),
        });
      }),
      { numRuns: 1500 },
    );
    expect(taken).toBeGreaterThan(150);
  }, 60_000);

  it.each<[string, Record<string, string | undefined>, unknown]>([
    ['without the version in a header', { 'mcp-protocol-version': undefined }, goodBody()],
    ['without the method in a header', { 'mcp-method': undefined }, goodBody()],
    ['without the name in a header', { 'mcp-name': undefined }, goodBody()],
    ['whose header names another tool', { 'mcp-name': 'get_twice' }, goodBody()],
    ['whose name is encoded', { 'mcp-name': '=?base64?Z2V0X3dobw==?=' }, goodBody()],
    ['of an older revision', { 'mcp-protocol-version': '2025-11-25' }, { ...goodBody(), params: { name: 'get_who' } }],
    ['that is in a batch', {}, [goodBody()]],
    ['that is a notification', {}, { ...goodBody(), id: undefined }],
    ['that is another request', { 'mcp-method': 'tools/list' }, { ...goodBody(), method: 'tools/list' }],
  ])('leaves a call %s to the SDK', (_sentence, headers, body) => {
    const { mcp } = serve({ wait: false });
    expect(
      mcp.direct.open(
        { ...GOOD_HEADERS, ...headers },
        body,
        toAuthInfo({ caller: callerNamed('ann'), profile: 'full' }),
      ),
    ).toBeUndefined();
  });

  it('is closed after its end, and what ran is aborted without an answer', async () => {
    const { mcp, entered } = serve({ wait: true });
    const call = open(mcp, 'ann');
    await vi.waitUntil(() => entered.length === 1);
    await mcp.close();
    expect(await call.answer).toBeUndefined();
    expect(entered[0]?.signal?.aborted).toBe(true);
    expect(
      mcp.direct.open(GOOD_HEADERS, goodBody(), toAuthInfo({ caller: callerNamed('ann'), profile: 'full' })),
    ).toBeUndefined();
  });
});

describe('calls of many callers with one id', () => {
  it('each run as their own caller and get their own answer, in whatever order they end', async () => {
    const { mcp, entered } = serve({ wait: true });
    const subs = Array.from({ length: 300 }, (_, n) => `caller-${n}`);
    const answers = subs.map((sub) => open(mcp, sub).answer);
    await vi.waitUntil(() => entered.length === subs.length);
    const [order] = fc.sample(fc.shuffledSubarray(entered, { minLength: entered.length }), 1);
    for (const { leave } of order ?? []) leave();
    expect(await Promise.all(answers)).toMatchObject(subs.map(resultFor));
  });

  it('are cancelled one by one: the others run on, and what a cancelled one still says reaches nobody', async () => {
    const { mcp, entered } = serve({ wait: true });
    const calls = ['ann', 'ben', 'cleo'].map((sub) => open(mcp, sub));
    await vi.waitUntil(() => entered.length === 3);
    calls[1]?.cancel();
    calls[1]?.cancel();
    await vi.waitUntil(() => entered[1]?.signal?.aborted === true);
    expect(entered.map(({ signal }) => signal?.aborted)).toEqual([false, true, false]);
    for (const { leave } of entered) leave();
    const [first, second, third] = await Promise.all(calls.map(({ answer }) => answer));
    expect([first, third]).toMatchObject([resultFor('ann'), resultFor('cleo')]);
    expect(second).toBeUndefined();
  });
});

describe('over HTTP', () => {
  async function start() {
    const { entered, database, toolset } = makeBank({ wait: true });
    const config = loadServerConfig({ BANK_ID: BANK, SECRET_DIR: makeSecretDir(BANK).dir, PORT: '0' });
    const server = await startBankServer(config, logger, { toolsets: [toolset], database });
    closing.push(() => server.stop());
    const post = (
      sub: string,
      body: unknown,
      options: { headers?: Record<string, string>; signal?: AbortSignal } = {},
    ) =>
      fetch(`http://127.0.0.1:${server.port}/mcp/bank-${BANK}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(options.headers ?? GOOD_HEADERS),
          ...sealedHeaders(makeAssertion(BANK, { sub })),
        },
        body: JSON.stringify(body),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    return { server, entered, post };
  }

  it('a pod that takes its leave answers what still comes, on connections that end with it, and goes when nobody is left', async () => {
    const { server, entered, post } = await start();
    const under = post('ann', goodBody());
    await vi.waitUntil(() => entered.length === 1);
    const left = server.takeLeave().then(() => server.stop());
    const ready = await fetch(`http://127.0.0.1:${server.port}/readyz`);
    expect([ready.status, ready.headers.get('connection')]).toEqual([503, 'close']);
    const late = post('ben', goodBody());
    await vi.waitUntil(() => entered.length === 2);
    for (const { leave } of entered) leave();
    expect((await late).headers.get('connection')).toBe('close');
    expect(await (await late).json()).toMatchObject({ result: { structuredContent: { sub: 'ben' } } });
    expect(await (await under).json()).toMatchObject({ result: { structuredContent: { sub: 'ann' } } });
    await left;
  });

  it("a client that goes away ends its own call, and nobody's cancellation reaches another's", async () => {
    const { entered, post } = await start();
    const gone = new AbortController();
    const left = post('ann', goodBody(), { signal: gone.signal });
    const stays = post('ben', goodBody());
    await vi.waitUntil(() => entered.length === 2);
    for (const requestId of [1, 2]) {
      const body = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } };
      const headers = { 'mcp-protocol-version': MODERN, 'mcp-method': 'notifications/cancelled' };
      expect((await post('mallory', body, { headers })).status).toBe(202);
    }
    expect(entered.map(({ signal }) => signal?.aborted)).toEqual([false, false]);
    gone.abort();
    await expect(left).rejects.toThrow();
    const signalOf = (sub: string) => entered.find((each) => each.sub === sub)?.signal;
    await vi.waitUntil(() => signalOf('ann')?.aborted === true);
    expect(signalOf('ben')?.aborted).toBe(false);
    for (const { leave } of entered) leave();
    expect(await (await stays).json()).toMatchObject({ id: 1, result: { structuredContent: { sub: 'ben' } } });
  });
});
