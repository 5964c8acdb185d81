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
      expect(headers['www-authenticate']).toMatch(
        /^Bearer error="insufficient_scope", error_description="[^"]+", scope="mcp:read", resource_metadata="https:\/\/mcp\.example\.com\/\.well-known\/oauth-protected-resource\/mcp\/bank-acme"$/,
      );
    }
    expect(pod.seen).toEqual([]);
  });
});
