/** The part of the table of bad requests that is about methods and headers. */
import { type BadRequest, calling, FORBIDDEN, JSON_HEADERS, rowsOf, WRONG } from './bad-rows.ts';
import { type BadRequestContext, changed } from './tokens.ts';

const WRITE = calling('delete_note');
const READ = calling('list_recordings');

export async function badHeaders(context: BadRequestContext): Promise<BadRequest[]> {
  const authorization = `Bearer ${await changed(context, {})}`;
  const verify = `Bearer ${await changed(context, { scope: 'mcp:verify' })}`;
  const nothing = `Bearer ${await changed(context, { scope: 'openid mcp:everything' })}`;
  const similar = `Bearer ${await changed(context, { scope: 'mcp:readwrite MCP:WRITE mcp:write, mcp:*' })}`;
  const modern = { ...JSON_HEADERS, authorization, 'mcp-protocol-version': '2026-07-28' };
  const row = rowsOf(context, authorization);
  return [
    row('sealed assertions of the client instead of a token', {
      headers: { ...JSON_HEADERS, 'bankhouse-assertion': '1.e30.AAAA', 'bankhouse-database-assertion': '1.e30.AAAA' },
      status: 401,
      code: 'token_absent',
      challenge: 'absent',
    }),
    row('a token without any scope of ours', { headers: { ...JSON_HEADERS, authorization: nothing }, ...FORBIDDEN }),
    row('a token whose scopes are only similar to ours', {
      headers: { ...JSON_HEADERS, authorization: similar },
      body: READ,
      ...FORBIDDEN,
    }),
    row('a verifying token that calls a tool', {
      headers: { ...JSON_HEADERS, authorization: verify },
      body: READ,
      ...FORBIDDEN,
    }),
    row('a verifying token that calls a tool which nobody knows', {
      headers: { ...JSON_HEADERS, authorization: verify },
      body: calling('verify'),
      ...FORBIDDEN,
    }),
    ...origins(context, authorization),
    ...methods(row),
    ...hidden(row, modern),
    ...modernHeaders(row, modern),
    ...(
      [
        ['compressed', 'gzip'],
        ['compressed by brotli', 'br'],
        ['compressed twice', 'gzip, gzip'],
        ['said to be as it is, and compressed', 'identity, gzip'],
      ] as const
    ).map(([name, encoding]) =>
      row(`a body that is ${name}`, {
        headers: { ...JSON_HEADERS, authorization, 'content-encoding': encoding },
        ...WRONG,
        code: 'content_encoding',
      }),
    ),
  ];
}

function origins(context: BadRequestContext, authorization: string): BadRequest[] {
  const { frontDoor } = context;
  const row = rowsOf(context, authorization);
  const foreign: [name: string, origin: string][] = [
    ['a foreign Origin', 'https://evil.example'],
    ['the Origin null', 'null'],
    ['an Origin that begins like ours', `${frontDoor}.evil.example`],
    ['an Origin that ends like ours', `https://evil.example/${frontDoor}`],
    ['our Origin with a slash behind', `${frontDoor}/`],
    ['our Origin in upper case', frontDoor.toUpperCase()],
    ['our Origin by another scheme', frontDoor.replace(/^https?/, 'ftp')],
    ['our Origin behind somebody', frontDoor.replace('://', '://us@')],
    ['our Origin and a foreign one', `${frontDoor}, https://evil.example`],
    ['the Origin of an extension', 'chrome-extension://abcdefghijklmnop'],
  ];
  return foreign.map(([name, origin]) =>
    row(name, { headers: { ...JSON_HEADERS, authorization, origin }, status: 403, code: 'origin_refused' }),
  );
}

type Row = ReturnType<typeof rowsOf>;
type Headers = Readonly<Record<string, string>>;

function methods(row: Row): BadRequest[] {
  const refused = { status: 405, code: 'method_refused' } as const;
  const unexpected = { ...WRONG, code: 'body_unexpected', isPastIngress: true } as const;
  return [
    row('PUT', { method: 'PUT', ...refused }),
    row('PATCH', { method: 'PATCH', ...refused }),
    row('TRACE', { method: 'TRACE', body: '', ...refused }),
    row('PROPFIND', { method: 'PROPFIND', ...refused, isPastIngress: true }),
    row('SEARCH', { method: 'SEARCH', ...refused, isPastIngress: true }),
    row('PURGE', { method: 'PURGE', ...refused, isPastIngress: true }),
    row('a call in the body of a GET', { method: 'GET', body: WRITE, ...unexpected }),
    row('a call in the body of a DELETE', { method: 'DELETE', body: WRITE, ...unexpected }),
  ];
}

/** A reading token that writes, where something says that it reads. */
function hidden(row: Row, modern: Headers): BadRequest[] {
  const { 'mcp-protocol-version': _, ...older } = modern;
  const lists = { 'mcp-method': 'tools/list' };
  const encoded = `=?base64?${Buffer.from('delete_note').toString('base64')}?=`;
  const behind: [name: string, headers: Record<string, string | string[]>, body?: string][] = [
    [
      'G5: a Connection that names the revision and the method, to hide a writing tool behind them',
      { ...modern, ...lists, connection: 'mcp-method, mcp-protocol-version' },
    ],
    [
      'G5: a Connection that names the revision alone, to hide a writing tool behind them',
      { ...modern, ...lists, connection: 'mcp-protocol-version' },
    ],
    [
      'G5: a Connection that names them in upper case, among others, to hide a writing tool behind them',
      { ...modern, ...lists, connection: 'keep-alive, MCP-METHOD , Mcp-Protocol-Version' },
    ],
    ['a reading token that calls a writing tool, older revision', older],
    ['a reading token that calls a writing tool in the middle of a batch', older, `[${READ},${WRITE},${READ}]`],
    [
      'a reading token whose headers say less than its body, in an older revision',
      { ...modern, ...lists, 'mcp-protocol-version': '2025-11-25' },
    ],
    [
      'a reading token whose headers say less than its body, in a revision that nobody knows',
      { ...modern, ...lists, 'mcp-protocol-version': '2099-01-01' },
    ],
    [
      'a reading token whose headers say less than its body, in no revision',
      { ...older, ...lists, 'mcp-name': 'list_recordings' },
    ],
    [
      'a reading token whose headers say less than its body, in two revisions in one line',
      { ...modern, ...lists, 'mcp-protocol-version': '2026-07-28, 2025-11-25' },
    ],
    [
      'a reading token whose headers say less than its body, in the revision with something behind',
      { ...modern, ...lists, 'mcp-protocol-version': '2026-07-28;q=1' },
    ],
    [
      'a reading token whose headers are written with _, as CGI reads them',
      { ...older, mcp_protocol_version: '2026-07-28', mcp_method: 'tools/list' },
    ],
    [
      'a reading token that calls a writing tool, 2026-07-28',
      { ...modern, 'mcp-method': 'tools/call', 'mcp-name': 'delete_note' },
    ],
    [
      'a reading token that calls a writing tool whose name tells nothing, 2026-07-28',
      { ...modern, 'mcp-method': 'tools/call', 'mcp-name': 'batch' },
      calling('batch'),
    ],
    [
      'a writing tool whose name is encoded in the header',
      { ...modern, 'mcp-method': 'tools/call', 'mcp-name': encoded },
    ],
    [
      'a writing tool whose name is encoded in the header, in upper case',
      { ...modern, 'mcp-method': 'tools/call', 'mcp-name': encoded.replace('base64', 'BASE64') },
    ],
  ];
  return behind.map(([name, headers, body = WRITE]) => row(name, { headers, body, ...FORBIDDEN }));
}

function modernHeaders(row: Row, modern: Headers): BadRequest[] {
  const calls = { ...modern, 'mcp-method': 'tools/call' };
  const wrong: [name: string, headers: Record<string, string | string[]>, code: string][] = [
    ['2026-07-28 without Mcp-Method', modern, 'mcp_method_header'],
    ['2026-07-28 with an empty Mcp-Method', { ...modern, 'mcp-method': '' }, 'mcp_method_header'],
    [
      '2026-07-28 with two methods in one line',
      { ...modern, 'mcp-method': 'tools/list, tools/call' },
      'mcp_method_header',
    ],
    ['2026-07-28 with a blank in Mcp-Method', { ...modern, 'mcp-method': 'tools/ call' }, 'mcp_method_header'],
    ['2026-07-28 with Mcp-Method of 129 characters', { ...modern, 'mcp-method': 'm'.repeat(129) }, 'mcp_method_header'],
    ['2026-07-28 with Mcp-Method as a list', { ...modern, 'mcp-method': '["tools/list"]' }, 'mcp_method_header'],
    ['2026-07-28 with Mcp-Method twice', { ...modern, 'mcp-method': ['tools/list', 'tools/call'] }, 'header_repeated'],
    [
      '2026-07-28 with the same Mcp-Method twice',
      { ...modern, 'mcp-method': ['tools/list', 'tools/list'] },
      'header_repeated',
    ],
    ['2026-07-28 tools/call without Mcp-Name', calls, 'mcp_name_header'],
    ['2026-07-28 tools/call with an empty Mcp-Name', { ...calls, 'mcp-name': '' }, 'mcp_name_header'],
    [
      '2026-07-28 tools/call with Mcp-Name of 257 characters',
      { ...calls, 'mcp-name': 'n'.repeat(257) },
      'mcp_name_header',
    ],
    [
      '2026-07-28 tools/call with Mcp-Name twice',
      { ...calls, 'mcp-name': ['list_recordings', 'delete_note'] },
      'header_repeated',
    ],
    ['2026-07-28 with a broken encoding of Mcp-Name', { ...calls, 'mcp-name': '=?base64?!!?=' }, 'mcp_name_header'],
    [
      '2026-07-28 with an encoding of Mcp-Name that nobody knows',
      { ...calls, 'mcp-name': '=?utf-8?q?delete_note?=' },
      'mcp_name_header',
    ],
    [
      '2026-07-28 with Mcp-Name in base64 without its padding',
      { ...calls, 'mcp-name': '=?base64?ZGVsZXRl?ZA?=' },
      'mcp_name_header',
    ],
    [
      '2026-07-28 with an Mcp-Name that is no UTF-8',
      { ...calls, 'mcp-name': `=?base64?${Buffer.from([0xc0, 0xaf, 0xff]).toString('base64')}?=` },
      'mcp_name_header',
    ],
    ['2026-07-28 with an Mcp-Name that encodes nothing', { ...calls, 'mcp-name': '=?base64??=' }, 'mcp_name_header'],
    [
      'two protocol versions',
      { ...modern, 'mcp-protocol-version': ['2025-11-25', '2026-07-28'], 'mcp-method': 'tools/list' },
      'header_repeated',
    ],
    [
      'two content encodings',
      { ...modern, 'mcp-method': 'tools/list', 'content-encoding': ['identity', 'gzip'] },
      'header_repeated',
    ],
    [
      'G5: a Connection that names the method alone',
      { ...modern, 'mcp-method': 'tools/list', connection: 'mcp-method' },
      'mcp_method_header',
    ],
    [
      "G5: a Connection that names the tool's name",
      { ...calls, 'mcp-name': 'list_recordings', connection: 'mcp-name' },
      'mcp_name_header',
    ],
    [
      'G5: two Connections, of which the second names the method',
      { ...modern, 'mcp-method': 'tools/list', connection: ['keep-alive', 'mcp-method'] },
      'mcp_method_header',
    ],
  ];
  return wrong.map(([name, headers, code]) => row(name, { headers, body: READ, ...WRONG, code }));
}
