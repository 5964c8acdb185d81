/** What clients of many makes send as Accept, and as a cursor that nobody gave (P1, P2). */
import { toolsetsNamed } from '@bankhouse/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { MODERN, type RunningBank, runBank } from './support.ts';

let postgres: TestPostgres;
let running: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  running = await runBank(postgres, 'acme', { toolsets: toolsetsNamed(['recordings', 'workspace']) });
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': {},
};

async function ask(
  era: 'modern' | 'legacy',
  method: string,
  params: Record<string, unknown>,
  accept: string | undefined,
) {
  const name = params.name === undefined ? {} : { 'mcp-name': String(params.name) };
  const own =
    era === 'modern'
      ? { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...name }
      : { 'mcp-protocol-version': '2025-11-25' };
  const response = await fetch(running.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(accept === undefined ? {} : { accept }),
      ...own,
      ...running.headers(),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 7,
      method,
      params: era === 'modern' ? { ...params, _meta: META } : params,
    }),
  });
  const type = response.headers.get('content-type')?.split(';')[0];
  const text = await response.text();
  return { status: response.status, type, text, json: type === 'application/json' ? JSON.parse(text) : undefined };
}

const LIST_VAULTS = { name: 'list_vaults', arguments: {} };
const JSON_TAKEN: [accept: string | undefined][] = [
  [undefined],
  ['*/*'],
  ['application/json'],
  ['application/*'],
  ['application/json;q=0.9, text/html'],
  ['APPLICATION/JSON'],
  ['application/json, text/event-stream'],
  ['text/event-stream, application/json'],
  ['application/json;charset=utf-8,text/event-stream;q=0.5'],
];

describe.each(['modern', 'legacy'] as const)('a plain call of the %s era', (era) => {
  it.each(JSON_TAKEN)('with Accept %s is answered by JSON', async (accept) => {
    for (const [method, params] of [
      ['tools/call', LIST_VAULTS],
      ['tools/list', {}],
    ] as const) {
      const { status, type, json } = await ask(era, method, params, accept);
      expect([status, type]).toEqual([200, 'application/json']);
      expect(json).toMatchObject({ jsonrpc: '2.0', id: 7, result: {} });
    }
  });

  it.each(['text/html', 'image/*', 'application/xml'])(
    'with Accept %s alone is refused as not acceptable',
    async (accept) => {
      if (era === 'modern') return;
      expect((await ask(era, 'tools/list', {}, accept)).status).toBe(406);
    },
  );

  it.each(['tools/list', 'prompts/list', 'resources/templates/list'])(
    '%s refuses a cursor that nobody gave',
    async (method) => {
      for (const cursor of ['2', 'abc', 'eyJvZmZzZXQiOjIwfQ==']) {
        const { json } = await ask(era, method, { cursor }, '*/*');
        expect(json.error).toMatchObject({ code: -32602, message: expect.stringContaining('cursor') });
      }
      expect((await ask(era, method, {}, '*/*')).json.result).toBeDefined();
    },
  );
});

it('initialize of a client that takes only JSON', async () => {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
  const { status, json } = await ask('legacy', 'initialize', params, 'application/json');
  expect([status, json.result.protocolVersion]).toEqual([200, '2025-11-25']);
});
