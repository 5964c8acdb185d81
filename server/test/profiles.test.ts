/** Which tools are listed and what may be called, as a client meets it at the pod's port. */
import { createLogger } from '@bankhouse/core';
import { afterEach, describe, expect, it } from 'vitest';
import { startBankServer } from '../src/bank-server.ts';
import { loadServerConfig } from '../src/config.ts';
import type { Database } from '../src/database/database.ts';
import { ALL_TOOLSETS, makeAssertion, makeSecretDir, sealedHeaders } from './fixtures.ts';

const BANK = 'acme';
const logger = createLogger({ component: 'test', level: 'silent' });
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** As the gateway seals it for a request that needs all that its token gives. */
const accessOf = (scopes: readonly string[]) =>
  scopes.includes('mcp:write') ? 'write' : scopes.includes('mcp:read') ? 'read' : 'none';

interface Answer {
  status: number;
  body: { result?: { tools?: { name: string }[]; instructions?: string }; error?: { message: string; data: object } };
}

async function start() {
  const ran: string[] = [];
  const database: Database = {
    withCaller(caller, { readOnly }, work) {
      ran.push(readOnly ? 'read' : 'write');
      return work({ rows: () => Promise.reject(new Error(`no database for ${caller.assertion.sub}`)) });
    },
    loginIsRefused: () => Promise.resolve(false),
    close: () => Promise.resolve(),
  };
  const secret = makeSecretDir(BANK);
  const config = loadServerConfig({ BANK_ID: BANK, SECRET_DIR: secret.dir, PORT: '0' });
  const server = await startBankServer(config, logger, { toolsets: ALL_TOOLSETS, database });
  closing.push(() => server.stop());
  const ask = async (
    message: unknown,
    options: { query?: string; scopes?: string[]; version?: string } = {},
  ): Promise<Answer> => {
    const { query = '', scopes = ['mcp:read', 'mcp:write'], version = '2025-11-25' } = options;
    const response = await fetch(`http://127.0.0.1:${server.port}/mcp/bank-${BANK}${query}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': version,
        ...sealedHeaders(makeAssertion(BANK, { scopes, access: accessOf(scopes) })),
      },
      body: JSON.stringify(message),
    });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  };
  return { ask, ran, secret };
}

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const callOf = (name: string, args: object = {}, id = 1) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});
const firstOf = ({ body }: Answer) => [body.result?.tools?.length, body.result?.tools?.[0]?.name];
const FULL = [51, 'list_vaults'];
const COMPACT = [16, 'list_vaults'];
const SEARCH = [2, 'find_tools'];

describe('tools/list', () => {
  it.each<[string, string | undefined, string, (string | number)[]]>([
    ['is full, where nobody says anything', undefined, '', FULL],
    ['is what the Bank says', 'compact', '', COMPACT],
    ['is what the URL says', undefined, '?tools=search', SEARCH],
    ['is what the URL says, whatever the Bank says', 'search', '?tools=full', FULL],
    ['heeds nothing else in the URL', 'compact', '?x=full', COMPACT],
  ])('%s', async (_sentence, profile, query, expected) => {
    const { ask, secret } = await start();
    if (profile !== undefined) secret.write('tool-profile', profile);
    await expect.poll(async () => firstOf(await ask(LIST, { query })), { timeout: 5000 }).toEqual(expected);
  });

  it.each(['tiny', '', 'full&tools=full'])('for ?tools=%s is refused with the three that there are', async (value) => {
    const { ask } = await start();
    expect(await ask(LIST, { query: `?tools=${value}` })).toMatchObject({
      status: 400,
      body: {
        error: {
          message: 'In the URL, ?tools= takes one of full, compact, search, once.',
          data: { code: 'tool_profile' },
        },
      },
    });
  });

  it.each<[string, RegExp]>([
    ['full', /^The bank "acme"\. (?!.*(find_tools|_entry))/],
    ['compact', /create_entry with kind note is create_note\.$/],
    ['search', /find_tools finds them, and call_tool calls them\.$/],
  ])('of %s comes with instructions for it', async (profile, expected) => {
    const { ask } = await start();
    const message = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
    };
    const { body } = await ask(message, { query: `?tools=${profile}` });
    expect(body.result?.instructions).toMatch(expected);
  });
});

describe('a call', () => {
  it.each(['full', 'compact', 'search'])('in %s is of any tool, listed or not', async (profile) => {
    const { ask } = await start();
    for (const name of ['list_notes', 'list_entries', 'find_tools', 'call_tool']) {
      const { body } = await ask(callOf(name), { query: `?tools=${profile}` });
      expect(body.error).toBeUndefined();
    }
  });

  it.each<[string, string, object]>([
    ['of call_tool', 'call_tool', { name: 'create_note', arguments: { title: 'x' } }],
    ['of call_tool in other words', 'call_tool', { tool: 'create_note', args: '{"title":"x"}' }],
    ['of call_tool for a kind', 'call_tool', { name: 'create_entry', arguments: { kind: 'note', title: 'x' } }],
    [
      'of call_tool through itself',
      'call_tool',
      { name: 'call_tool', arguments: { name: 'create_note', arguments: { title: 'x' } } },
    ],
    ['for a kind', 'create_entry', { kind: 'note', title: 'x' }],
  ])('%s that would write is refused to a reader as the tool itself is', async (_sentence, name, args) => {
    const { ask, ran } = await start();
    const itself = await ask(callOf('create_note', { title: 'x' }), { scopes: ['mcp:read'] });
    expect(itself).toMatchObject({ status: 403, body: { error: { data: { code: 'insufficient_scope' } } } });
    expect(await ask(callOf(name, args), { scopes: ['mcp:read'] })).toEqual(itself);
    expect(await ask([LIST, callOf(name, args)], { scopes: ['mcp:read'], version: '2025-03-26' })).toMatchObject({
      status: 403,
    });
    expect(ran).toEqual([]);
    await ask(callOf(name, args));
    expect(ran).toEqual(['write']);
  });

  it('of call_tool that reads is a reader’s, and not the verifier’s', async () => {
    const { ask, ran } = await start();
    expect((await ask(callOf('call_tool', { name: 'list_vaults' }), { scopes: ['mcp:read'] })).status).toBe(200);
    expect(ran).toEqual(['read']);
    expect((await ask(callOf('call_tool', { name: 'list_vaults' }), { scopes: ['mcp:verify'] })).status).toBe(403);
  });
});

describe('a batch', () => {
  it('answers 30,000 characters at most, and says which calls to send again', async () => {
    const { ask } = await start();
    const find = (id: number) =>
      callOf('find_tools', { query: 'note task comment chat recording query', limit: 20 }, id);
    const { body } = await ask(
      Array.from({ length: 20 }, (_, id) => find(id)),
      { version: '2025-03-26' },
    );
    const answers = body as unknown as { id: number; result: { isError?: boolean; content: { text: string }[] } }[];
    expect(answers).toHaveLength(20);
    const given = answers.filter(({ result }) => result.isError !== true);
    const left = answers.filter(({ result }) => result.isError === true);
    expect(given.length).toBeGreaterThan(0);
    expect(given.reduce((sum, { result }) => sum + JSON.stringify(result.content).length, 0)).toBeLessThanOrEqual(
      30_000,
    );
    for (const { result } of left)
      expect(result.content[0]?.text).toMatch(/^batch_too_long: .* Send it again alone\.$/);
    expect(left.length).toBeGreaterThan(10);
  });
});
