/**
 * Requests that must never reach a bank server: bad tokens, bad paths, bad headers. One table for the gateway alone and for
 * the real front door; what differs is who signs.
 */
import { bankPath, bankUrl } from '@bankhouse/core';
import { badAuthorizations } from './bad-tokens.ts';
import { type BadRequestContext, changed } from './tokens.ts';

export { type BadRequestContext, goodClaims, signToken } from './tokens.ts';

/** What must come back. */
export type Challenge =
  /** No `WWW-Authenticate`. */
  | 'none'
  /** Without an error: nothing was presented (RFC 6750 section 3.1). */
  | 'absent'
  | 'invalid_token'
  | 'insufficient_scope';

export interface BadRequest {
  /** Sentence. */
  readonly name: string;
  readonly method: string;
  /** Request target, byte for byte. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;
  readonly status: number;
  /** `error.data.code` of the answer. */
  readonly code: string;
  readonly challenge: Challenge;
  /** An ingress controller may make a good path out of it before the gateway sees it, or refuse it with 400 itself. */
  readonly isPathRow: boolean;
}

const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** The table. */
export async function badRequests(context: BadRequestContext): Promise<BadRequest[]> {
  return [...(await badTokens(context)), ...(await badPaths(context)), ...(await badHeaders(context))];
}

async function badTokens(context: BadRequestContext): Promise<BadRequest[]> {
  const path = bankPath(context.bank);
  const tokens = (await badAuthorizations(context)).map(
    ([name, authorization, code]): BadRequest => ({
      ...basic(name, path),
      headers: { ...JSON_HEADERS, ...(authorization === undefined ? {} : { authorization }) },
      status: 401,
      code,
      challenge: code === 'token_absent' ? 'absent' : 'invalid_token',
    }),
  );
  return [
    ...tokens,
    {
      ...basic('the token in the query alone', `${path}?access_token=${await changed(context, {})}`),
      status: 401,
      code: 'token_absent',
      challenge: 'absent',
    },
  ];
}

async function badPaths(context: BadRequestContext): Promise<BadRequest[]> {
  const { bank, otherBank, frontDoor } = context;
  const authorization = `Bearer ${await changed(context, {})}`;
  const refused: [name: string, target: string][] = [
    ['an encoded slash', `/mcp%2Fbank-${bank}`],
    ['an encoded slash in lower case', `/mcp%2fbank-${bank}`],
    ['an encoded letter', `/mcp/%62ank-${bank}`],
    ['a doubly encoded slash', `/mcp%252Fbank-${bank}`],
    ['a doubled slash', `/mcp//bank-${bank}`],
    ['a doubled slash in front', `//mcp/bank-${bank}`],
    ['a slash behind', `/mcp/bank-${bank}/`],
    ['something behind', `/mcp/bank-${bank}/sse`],
    ['a dot segment', `/mcp/./bank-${bank}`],
    ['a climbing segment to another bank', `/mcp/bank-${otherBank}/../bank-${bank}`],
    ['an encoded climbing segment', `/mcp/bank-${otherBank}/%2e%2e/bank-${bank}`],
    ['a backslash', `/mcp\\bank-${bank}`],
    ['an encoded backslash', `/mcp%5Cbank-${bank}`],
    ['a NUL, encoded', `/mcp/bank-${bank}%00`],
    ['a newline, encoded', `/mcp/bank-${bank}%0a`],
    ['a path parameter', `/mcp/bank-${bank};x=1`],
    ['upper case', `/mcp/bank-${bank.toUpperCase()}`],
    ['an upper-case prefix', `/MCP/bank-${bank}`],
    ['no id', '/mcp/bank-'],
    ['an id of 41 characters', `/mcp/bank-${'a'.repeat(41)}`],
    ['a path of 4 KiB', `/mcp/bank-${'a'.repeat(4096)}`],
    ['the absolute form of another host', `http://other.example/mcp/bank-${bank}`],
  ];
  const unmatched: [name: string, target: string][] = [
    ['another bank behind an encoded question mark', `/mcp/bank-${otherBank}%3f/mcp/bank-${bank}`],
    ['the metadata behind the path', `/mcp/bank-${bank}/.well-known/oauth-protected-resource`],
  ];
  return [
    ...[...refused, ...unmatched].map(
      ([name, target]): BadRequest => ({
        ...basic(name, target),
        headers: { ...JSON_HEADERS, authorization },
        status: 404,
        code: 'path_unknown',
        challenge: 'none',
        isPathRow: true,
      }),
    ),
    {
      ...basic(
        "the other bank's path with this bank's token, which names this bank in the query (R1.5)",
        `${bankPath(otherBank)}?resource=${bankUrl(frontDoor, bank)}`,
      ),
      headers: { ...JSON_HEADERS, authorization },
      status: 401,
      code: 'token_audience',
      challenge: 'invalid_token',
    },
  ];
}

async function badHeaders(context: BadRequestContext): Promise<BadRequest[]> {
  const path = bankPath(context.bank);
  const authorization = `Bearer ${await changed(context, {})}`;
  const verify = `Bearer ${await changed(context, { scope: 'mcp:verify' })}`;
  const nothing = `Bearer ${await changed(context, { scope: 'openid mcp:everything' })}`;
  const modern = { ...JSON_HEADERS, authorization, 'mcp-protocol-version': '2026-07-28' };
  const write = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'delete_note' } });
  const read = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'list_recordings' } });
  const row = (name: string, change: Partial<BadRequest>): BadRequest => ({
    ...basic(name, path),
    headers: { ...JSON_HEADERS, authorization },
    ...change,
  });
  const forbidden = { status: 403, code: 'insufficient_scope', challenge: 'insufficient_scope' } as const;
  const wrong = { status: 400, challenge: 'none' } as const;
  return [
    row('sealed assertions of the client instead of a token', {
      headers: { ...JSON_HEADERS, 'bankhouse-assertion': '1.e30.AAAA', 'bankhouse-database-assertion': '1.e30.AAAA' },
      status: 401,
      code: 'token_absent',
      challenge: 'absent',
    }),
    row('a foreign Origin', {
      headers: { ...JSON_HEADERS, authorization, origin: 'https://evil.example' },
      status: 403,
      code: 'origin_refused',
    }),
    row('the Origin null', {
      headers: { ...JSON_HEADERS, authorization, origin: 'null' },
      status: 403,
      code: 'origin_refused',
    }),
    ...(
      [
        ['names the revision and the method', 'mcp-method, mcp-protocol-version'],
        ['names the revision alone', 'mcp-protocol-version'],
        ['names them in upper case, among others', 'keep-alive, MCP-METHOD , Mcp-Protocol-Version'],
      ] as const
    ).map(([name, connection]) =>
      row(`G5: a Connection that ${name}, to hide a writing tool behind them`, {
        headers: { ...modern, 'mcp-method': 'tools/list', connection },
        body: write,
        ...forbidden,
      }),
    ),
    row('G5: a Connection that names the method alone', {
      headers: { ...modern, 'mcp-method': 'tools/list', connection: 'mcp-method' },
      ...wrong,
      code: 'mcp_method_header',
    }),
    row("G5: a Connection that names the tool's name", {
      headers: { ...modern, 'mcp-method': 'tools/call', 'mcp-name': 'list_recordings', connection: 'mcp-name' },
      body: write,
      ...wrong,
      code: 'mcp_name_header',
    }),
    row('G2: a body that nests deeper than anything means', {
      body: `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
      ...wrong,
      code: 'body_too_deep',
    }),
    row('G2: a body of more values than anything means', {
      body: `[${Array(60_000).fill('[]').join(',')}]`,
      ...wrong,
      code: 'body_too_many',
    }),
    row('PUT', { method: 'PUT', status: 405, code: 'method_refused' }),
    row('PATCH', { method: 'PATCH', status: 405, code: 'method_refused' }),
    row('TRACE', { method: 'TRACE', body: '', status: 405, code: 'method_refused' }),
    row('a token without any scope of ours', { headers: { ...JSON_HEADERS, authorization: nothing }, ...forbidden }),
    row('a verifying token that calls a tool', {
      headers: { ...JSON_HEADERS, authorization: verify },
      body: read,
      ...forbidden,
    }),
    row('a reading token that calls a writing tool, older revision', { body: write, ...forbidden }),
    row('a reading token that calls a writing tool in the middle of a batch', {
      body: `[${LIST},${write},${LIST}]`,
      ...forbidden,
    }),
    row('a reading token whose headers say less than its body, in an older revision', {
      headers: { ...modern, 'mcp-protocol-version': '2025-11-25', 'mcp-method': 'tools/list' },
      body: write,
      ...forbidden,
    }),
    row('a reading token whose headers say less than its body, in a revision that nobody knows', {
      headers: { ...modern, 'mcp-protocol-version': '2099-01-01', 'mcp-method': 'tools/list' },
      body: write,
      ...forbidden,
    }),
    row('a reading token that calls a writing tool, 2026-07-28', {
      headers: { ...modern, 'mcp-method': 'tools/call', 'mcp-name': 'delete_note' },
      body: write,
      ...forbidden,
    }),
    row('a writing tool whose name is encoded in the header', {
      headers: {
        ...modern,
        'mcp-method': 'tools/call',
        'mcp-name': `=?base64?${Buffer.from('delete_note').toString('base64')}?=`,
      },
      body: write,
      ...forbidden,
    }),
    row('2026-07-28 without Mcp-Method', { headers: modern, ...wrong, code: 'mcp_method_header' }),
    row('2026-07-28 tools/call without Mcp-Name', {
      headers: { ...modern, 'mcp-method': 'tools/call' },
      body: read,
      ...wrong,
      code: 'mcp_name_header',
    }),
    row('2026-07-28 with a broken encoding of Mcp-Name', {
      headers: { ...modern, 'mcp-method': 'tools/call', 'mcp-name': '=?base64?!!?=' },
      body: read,
      ...wrong,
      code: 'mcp_name_header',
    }),
    row('2026-07-28 with Mcp-Method twice', {
      headers: { ...modern, 'mcp-method': ['tools/list', 'tools/call'] },
      ...wrong,
      code: 'header_repeated',
    }),
    row('two protocol versions', {
      headers: { ...modern, 'mcp-protocol-version': ['2025-11-25', '2026-07-28'], 'mcp-method': 'tools/list' },
      ...wrong,
      code: 'header_repeated',
    }),
    row('a body that is no JSON, older revision', { body: '{"jsonrpc":', ...wrong, code: 'body_not_json' }),
    row('an empty body, older revision', { body: '', ...wrong, code: 'body_not_json' }),
    row('an empty batch', { body: '[]', ...wrong, code: 'batch_size' }),
    row('a batch of 51', { body: `[${Array(51).fill(LIST).join(',')}]`, ...wrong, code: 'batch_size' }),
    row('a batch within a batch', { body: `[[${LIST}]]`, ...wrong, code: 'message_form' }),
    row('JSON that is no message', { body: '"tools/list"', ...wrong, code: 'message_form' }),
    row('a tool profile that is not there', { target: '/mcp/bank-acme?tools=tiny', ...wrong, code: 'tool_profile' }),
    row('an empty tool profile', { target: '/mcp/bank-acme?tools=', ...wrong, code: 'tool_profile' }),
    row('two tool profiles', { target: '/mcp/bank-acme?tools=full&tools=full', ...wrong, code: 'tool_profile' }),
    row('a tool profile that is not there, without a token', {
      target: '/mcp/bank-acme?tools=tiny',
      headers: JSON_HEADERS,
      status: 401,
      code: 'token_absent',
      challenge: 'absent',
    }),
    row('a compressed body', {
      headers: { ...JSON_HEADERS, authorization, 'content-encoding': 'gzip' },
      ...wrong,
      code: 'content_encoding',
    }),
  ];
}

function basic(name: string, target: string): BadRequest {
  return {
    name,
    method: 'POST',
    target,
    headers: JSON_HEADERS,
    body: LIST,
    status: 404,
    code: 'path_unknown',
    challenge: 'none',
    isPathRow: false,
  };
}
