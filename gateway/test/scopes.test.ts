/** What a token's scopes let a client do, and what it is told of a bank that is not to be had. */
import { describe, expect, it } from 'vitest';
import { startNeighbours } from './neighbours.ts';
import { bank, JSON_TYPE, LIST, MODERN_LIST, send, until } from './support.ts';

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

  const assertionOf = (index = -1) => {
    const sealed = String(pod.seen.at(index)?.headers['bankhouse-assertion']);
    return JSON.parse(Buffer.from(sealed.split('.')[1] ?? '', 'base64url').toString());
  };
  const BOTH = 'mcp:read mcp:write';
  const WRITES = { name: 'create_note', arguments: { title: 'x' } };
  const LONG = { title: 'x'.repeat(100_000) };

  it.each<[string, unknown, string, number, string, string]>([
    ['a reading tool: read', { name: 'list_notes' }, BOTH, 200, 'read', 'list_notes'],
    ['a writing tool: write', WRITES, BOTH, 200, 'write', 'create_note'],
    ['a writing tool, in a long body: write', { ...WRITES, arguments: LONG }, BOTH, 200, 'write', 'create_note'],
    ['a reading tool, in a long body: read', { name: 'list_notes', arguments: LONG }, BOTH, 200, 'read', 'list_notes'],
    ['a tool through itself: write', { name: 'call_tool', arguments: WRITES }, BOTH, 200, 'write', 'create_note'],
    [
      'a tool through itself: read',
      { name: 'call_tool', arguments: { name: 'call_tool', arguments: { name: 'list_notes' } } },
      BOTH,
      200,
      'read',
      'list_notes',
    ],
    ['a tool that nobody knows: read', { name: 'get_nothing' }, BOTH, 200, 'read', 'get_nothing'],
    [
      'a tool that names another in its own row: read',
      { name: 'list_notes', arguments: WRITES },
      BOTH,
      200,
      'read',
      'list_notes',
    ],
    ['in words of its own: all that the caller may', { tool: 'create_note' }, BOTH, 200, 'write', 'call_tool'],
    ['nothing: all that the caller may', undefined, BOTH, 200, 'write', 'call_tool'],
    ['a number: all that the caller may', { name: 1 }, BOTH, 200, 'write', 'call_tool'],
    ['a name without end: all that the caller may', { name: 'x'.repeat(1000) }, BOTH, 200, 'write', 'call_tool'],
    ['in words of its own, by who reads: read', { tool: 'create_note' }, 'mcp:read', 200, 'read', 'call_tool'],
    ['a writing tool, by who reads: nothing', WRITES, 'mcp:read', 403, '', 'create_note'],
    ['a reading tool, by who writes: nothing', { name: 'list_notes' }, 'mcp:write', 403, '', 'list_notes'],
    ['a reading tool, by who verifies: nothing', { name: 'list_notes' }, 'mcp:verify', 403, '', 'call_tool'],
  ])(
    'G7: call_tool is sealed for, and recorded as, what it calls: %s',
    async (_name, args, scope, status, access, recorded) => {
      const body = JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'call_tool', arguments: args },
      });
      for (const headers of [JSON_TYPE, modernTool('call_tool')]) {
        pod.seen.length = 0;
        gateway.lines.length = 0;
        const answer = await send(gateway.port, { headers: { ...headers, ...(await bearer({ scope })) }, body });
        expect([answer.status, pod.seen.length]).toEqual([status, status === 200 ? 1 : 0]);
        if (status === 200) expect([assertionOf().access, pod.seen[0]?.body]).toEqual([access, body]);
        await until(() => gateway.lines.some((line) => line.includes('"msg":"call"')));
        const [record] = gateway.lines.filter((line) => line.includes('"msg":"call"')).map((line) => JSON.parse(line));
        // Of who may call nothing the body is not read for it, where the headers say enough.
        const unread = scope === 'mcp:verify' && headers === JSON_TYPE ? 'list_notes' : recorded;
        expect([record.methods, record.tools]).toEqual([['tools/call'], [unread]]);
      }
    },
  );

  it.each<[string, string, string]>([
    ['is no JSON', '{"params":', 'body_not_json'],
    ['nests too deep', `{"params":{"arguments":${'['.repeat(100)}${']'.repeat(100)}}}`, 'body_too_deep'],
    ['has too many values', `{"params":{"arguments":[${'1,'.repeat(60_000)}1]}}`, 'body_too_many'],
  ])('G3: a body of call_tool that %s is refused as the older revisions’ are', async (_name, body, code) => {
    const answer = await send(gateway.port, { headers: { ...modernTool('call_tool'), ...(await bearer()) }, body });
    expect([answer.status, answer.error?.data.code, pod.seen.length]).toEqual([400, code, 0]);
  });

  it('G7: in a batch each call_tool is what it calls', async () => {
    const through = (name: string) => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'call_tool', arguments: { name } },
    });
    const ask = async (...names: string[]) =>
      send(gateway.port, {
        headers: { ...JSON_TYPE, ...(await bearer({ scope: BOTH })) },
        body: JSON.stringify(names.map(through)),
      });
    await ask('list_notes', 'list_vaults');
    await ask('list_notes', 'delete_note');
    expect([assertionOf(0).access, assertionOf(1).access]).toEqual(['read', 'write']);
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
