/** What a token's scopes let a client do, and what it is told of a bank that is not to be had. */
import { describe, expect, it } from 'vitest';
import { startNeighbours } from './neighbours.ts';
import { bank, JSON_TYPE, LIST, MODERN_LIST, send } from './support.ts';

const { pod, gateway, bearer, list } = await startNeighbours();

describe('what a client may do', () => {
  const tool = (name: string) => JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } });
  const modernTool = (name: string) => ({ ...MODERN_LIST, 'mcp-method': 'tools/call', 'mcp-name': name });
  it.each<[string, string, Record<string, string>, string, number]>([
    ['mcp:read lists tools, older revision', 'mcp:read', JSON_TYPE, LIST, 200],
    ['mcp:read calls a reading tool, older revision', 'mcp:read', JSON_TYPE, tool('list_recordings'), 200],
    [
      'mcp:read calls a reading tool, 2026-07-28',
      'mcp:read',
      modernTool('list_recordings'),
      tool('list_recordings'),
      200,
    ],
    ['mcp:read calls a writing tool, 2026-07-28', 'mcp:read', modernTool('delete_note'), tool('delete_note'), 403],
    ['mcp:write calls a writing tool', 'mcp:write', JSON_TYPE, tool('delete_note'), 200],
    ['mcp:write calls a reading tool', 'mcp:write', JSON_TYPE, tool('list_recordings'), 403],
    ['mcp:verify lists tools', 'mcp:verify', JSON_TYPE, LIST, 200],
    ['mcp:verify reads a resource', 'mcp:verify', { ...MODERN_LIST, 'mcp-method': 'resources/read' }, '{}', 403],
    [
      'mcp:verify sends a batch of a ping and an answer',
      'mcp:verify',
      JSON_TYPE,
      `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":9,"result":{}}]`,
      200,
    ],
  ])('%s', async (_name, scope, headers, body, status) => {
    const answer = await send(gateway.port, { headers: { ...headers, ...(await bearer({ scope })) }, body });
    expect(answer.status).toBe(status);
    expect(pod.seen).toHaveLength(status === 200 ? 1 : 0);
  });

  it.each<[string, string, string]>([
    ['reads by its name', 'get_stuff.delete_all', 'mcp:read'],
    ['writes by its name', 'delete_everything', 'mcp:read'],
    ["writes by its name, of somebody else's server", 'amazon.place_order', 'mcp:read'],
    ['writes by its name, for a caller that only writes', 'delete_everything', 'mcp:write'],
  ])('G12: an unknown tool that %s is asked of the bank, in both revisions', async (_name, name, scope) => {
    const headers = await bearer({ scope });
    const answers = [
      await send(gateway.port, { headers: { ...JSON_TYPE, ...headers }, body: tool(name) }),
      await send(gateway.port, { headers: { ...modernTool(name), ...headers }, body: tool(name) }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(pod.seen.map(({ body }) => body)).toEqual([tool(name), tool(name)]);
  });

  it('G12: an unknown tool among others takes nothing from what the others need', async () => {
    const body = `[${tool('get_stuff.delete_all')},${tool('delete_note')}]`;
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body });
    expect([answer.status, pod.seen.length]).toEqual([403, 0]);
  });

  it.each<[string, string, string, string]>([
    ['holds one and lacks the other', 'mcp:read', tool('delete_note'), 'mcp:read mcp:write'],
    ['writes and would read', 'mcp:write', tool('list_notes'), 'mcp:read mcp:write'],
    ['has none of ours', 'openid', tool('list_notes'), 'mcp:read'],
    ['can verify alone', 'mcp:verify', tool('list_notes'), 'mcp:read'],
  ])('P4: who %s is told of all that it holds and needs', async (_name, scope, body, expected) => {
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer({ scope })) }, body });
    expect(answer.headers['www-authenticate']).toContain(` scope="${expected}"`);
  });

  it('P6: a HEAD that probes is challenged as any other call, and told what to use once it has a token', async () => {
    const probe = await send(gateway.port, { method: 'HEAD' });
    expect([probe.status, probe.body]).toEqual([401, '']);
    expect(probe.headers['www-authenticate']).toMatch(/^Bearer resource_metadata="[^"]+", scope="mcp:read mcp:write"$/);
    const held = await send(gateway.port, { method: 'HEAD', headers: await bearer() });
    expect([held.status, held.headers.allow]).toEqual([405, 'POST, GET, DELETE, OPTIONS']);
  });

  it('names all scopes that a batch needs', async () => {
    const body = `[${tool('list_recordings')},${tool('delete_note')}]`;
    const answer = await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body });
    expect(answer.headers['www-authenticate']).toContain('scope="mcp:read mcp:write"');
  });

  it.each<[string, () => void]>([
    ['does not exist', () => gateway.table.setBank('banks/acme', undefined)],
    ['is suspended', () => gateway.table.setBank('banks/acme', bank('acme', { suspend: true }))],
    ['is not accepted', () => gateway.table.setBank('banks/acme', bank('acme', { accepted: false }))],
  ])('is told the same 403 by a bank that %s', async (_name, arrange) => {
    arrange();
    const answers = [
      await send(gateway.port, { headers: { ...JSON_TYPE, ...(await bearer()) }, body: LIST }),
      await list(),
    ];
    gateway.table.setBank('banks/acme', bank('acme'));
    for (const { status, error, headers } of answers) {
      expect({ status, code: error?.data.code }).toEqual({ status: 403, code: 'bank_unavailable' });
      // Another token would not help: nothing sends the client to get one (P5).
      expect(headers['www-authenticate']).toBeUndefined();
    }
    expect(pod.seen).toEqual([]);
  });
});
