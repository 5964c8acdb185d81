/**
 * Requests that must never reach a bank server: bad tokens, bad paths, bad headers. One table for the gateway alone and for
 * the real front door; what differs is who signs.
 */
import { createHmac } from 'node:crypto';
import { bankPath, bankUrl } from '@bankhouse/core';
import { CompactSign, exportJWK, exportSPKI, generateKeyPair } from 'jose';

export interface BadRequestContext {
  /** Origin of the front door, as in `iss` and `aud`. */
  readonly frontDoor: string;
  /** A bank that is there, and another one that is there too. */
  readonly bank: string;
  readonly otherBank: string;
  /** The trusted issuer and its ES256 key pair: what is signed with it is wrong in what it says alone. */
  readonly issuer: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** Seconds since 1970. */
  readonly now: number;
}

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

/** Claims of a good token for the context's bank. */
export function goodClaims(context: Pick<BadRequestContext, 'frontDoor' | 'bank' | 'issuer' | 'now'>) {
  const { frontDoor, bank, issuer, now } = context;
  return {
    iss: issuer,
    sub: 'tester',
    aud: bankUrl(frontDoor, bank),
    iat: now,
    exp: now + 300,
    jti: crypto.randomUUID(),
    client_id: 'tests',
    scope: 'mcp:read',
  };
}

export function signToken(
  key: CryptoKey | Uint8Array,
  header: Record<string, unknown> & { alg: string },
  claims: unknown,
): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(key);
}

const LIST = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** The table. */
export async function badRequests(context: BadRequestContext): Promise<BadRequest[]> {
  return [...(await badTokens(context)), ...(await badPaths(context)), ...(await badHeaders(context))];
}

/** A good token with something changed; a change to `undefined` leaves the claim or parameter out. */
async function changed(context: BadRequestContext, claims: object, header: object = {}): Promise<string> {
  const good = { alg: 'ES256', typ: 'at+jwt', kid: context.kid };
  return signToken(context.privateKey, { ...good, ...header }, { ...goodClaims(context), ...claims });
}

async function badTokens(context: BadRequestContext): Promise<BadRequest[]> {
  const { publicKey, kid, bank, otherBank, frontDoor, issuer, now } = context;
  const path = bankPath(bank);
  const good = await changed(context, {});
  const [head = '', payload = '', signature = ''] = good.split('.');
  const foreign = await generateKeyPair('ES256', { extractable: true });
  const foreignJwk = await exportJWK(foreign.publicKey);
  const rsa = await generateKeyPair('RS256');
  const spki = await exportSPKI(publicKey);
  const x = (await exportJWK(publicKey)).x ?? '';
  const own = { alg: 'ES256', typ: 'at+jwt', kid };
  const claims = goodClaims(context);
  const forged = (header: object, body: object = claims, mac = '') => `${encode(header)}.${encode(body)}.${mac}`;
  const hs = (header: object, secret: string) => {
    const signed = `${encode(header)}.${encode(claims)}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  };
  const rows: [name: string, authorization: string | undefined, code: string][] = [
    ['no Authorization at all', undefined, 'token_absent'],
    ['an empty Authorization', '', 'token_absent'],
    ['another scheme', 'Basic dXNlcjpwYXNz', 'token_malformed'],
    ['a scheme without a token', 'Bearer', 'token_malformed'],
    ['garbage for a token', 'Bearer let-me-in', 'token_malformed'],
    ['a token of two parts', `Bearer ${head}.${payload}`, 'token_malformed'],
    ['a token with a character outside base64url', `Bearer ${head}.${payload}+.${signature}`, 'token_malformed'],
    ['two tokens behind one another', `Bearer ${good}, Bearer ${good}`, 'token_malformed'],
    ['a JWE of five parts', `Bearer ${head}.a.b.c.d`, 'token_malformed'],
    [
      'a header that is no JSON',
      `Bearer ${Buffer.from('{').toString('base64url')}.${payload}.${signature}`,
      'token_malformed',
    ],
    [
      'a payload that is no JSON',
      `Bearer ${head}.${Buffer.from('x').toString('base64url')}.${signature}`,
      'token_malformed',
    ],
    ['a token of 9 KiB', `Bearer ${await changed(context, { padding: 'x'.repeat(9000) })}`, 'token_too_long'],
    ['alg none without a signature', `Bearer ${forged({ ...own, alg: 'none' })}`, 'token_malformed'],
    ['alg none with a signature', `Bearer ${forged({ ...own, alg: 'none' }, claims, signature)}`, 'token_algorithm'],
    ['alg NoNe', `Bearer ${forged({ ...own, alg: 'NoNe' }, claims, signature)}`, 'token_algorithm'],
    ['HS256 with the public key (PEM) for a secret', `Bearer ${hs({ ...own, alg: 'HS256' }, spki)}`, 'token_algorithm'],
    ['HS256 with a coordinate of the public key', `Bearer ${hs({ ...own, alg: 'HS256' }, x)}`, 'token_algorithm'],
    [
      "RS256 by a key of one's own under the issuer's kid",
      `Bearer ${await signToken(rsa.privateKey, { ...own, alg: 'RS256' }, claims)}`,
      'token_key',
    ],
    [
      "ES256 by a key of one's own under the issuer's kid",
      `Bearer ${await signToken(foreign.privateKey, own, claims)}`,
      'token_signature',
    ],
    ['no kid', `Bearer ${await changed(context, {}, { kid: undefined })}`, 'token_key'],
    ['an unknown kid', `Bearer ${await changed(context, {}, { kid: 'unknown' })}`, 'token_key'],
    ['a kid that is a path', `Bearer ${await changed(context, {}, { kid: '../../dev/null' })}`, 'token_key'],
    [
      "an embedded jwk of one's own",
      `Bearer ${await signToken(foreign.privateKey, { ...own, jwk: foreignJwk }, claims)}`,
      'token_header',
    ],
    ['a jku', `Bearer ${await changed(context, {}, { jku: 'https://evil.example/jwks' })}`, 'token_header'],
    ['an x5u', `Bearer ${await changed(context, {}, { x5u: 'https://evil.example/chain' })}`, 'token_header'],
    ['an x5c', `Bearer ${await changed(context, {}, { x5c: ['AAAA'] })}`, 'token_header'],
    ['a crit that nobody knows', `Bearer ${forged({ ...own, crit: ['exp'] }, claims, signature)}`, 'token_header'],
    [
      'an unencoded payload (b64 false)',
      `Bearer ${forged({ ...own, b64: false, crit: ['b64'] }, claims, signature)}`,
      'token_header',
    ],
    ['typ JWT', `Bearer ${await changed(context, {}, { typ: 'JWT' })}`, 'token_type'],
    ['typ of a logout token', `Bearer ${await changed(context, {}, { typ: 'logout+jwt' })}`, 'token_type'],
    ['no typ', `Bearer ${await changed(context, {}, { typ: undefined })}`, 'token_type'],
    ['another issuer', `Bearer ${await changed(context, { iss: 'https://evil.example' })}`, 'token_issuer'],
    ['the issuer with a slash behind', `Bearer ${await changed(context, { iss: `${issuer}/` })}`, 'token_issuer'],
    ['the issuer in upper case', `Bearer ${await changed(context, { iss: issuer.toUpperCase() })}`, 'token_issuer'],
    ['no issuer', `Bearer ${await changed(context, { iss: undefined })}`, 'token_issuer'],
    [
      "the other bank's audience (R1.5)",
      `Bearer ${await changed(context, { aud: bankUrl(frontDoor, otherBank) })}`,
      'token_audience',
    ],
    ['the platform as audience', `Bearer ${await changed(context, { aud: frontDoor })}`, 'token_audience'],
    [
      'the audience with a slash behind',
      `Bearer ${await changed(context, { aud: `${bankUrl(frontDoor, bank)}/` })}`,
      'token_audience',
    ],
    [
      "an audience that only begins like the bank's",
      `Bearer ${await changed(context, { aud: `${bankUrl(frontDoor, bank)}-2` })}`,
      'token_audience',
    ],
    ['the path alone as audience', `Bearer ${await changed(context, { aud: path })}`, 'token_audience'],
    ['an empty list of audiences', `Bearer ${await changed(context, { aud: [] })}`, 'token_audience'],
    ['no audience', `Bearer ${await changed(context, { aud: undefined })}`, 'token_claims'],
    ['expired for 6 seconds', `Bearer ${await changed(context, { iat: now - 600, exp: now - 6 })}`, 'token_expired'],
    ['no exp', `Bearer ${await changed(context, { exp: undefined })}`, 'token_claims'],
    ['an exp that is text', `Bearer ${await changed(context, { exp: String(now + 300) })}`, 'token_claims'],
    ['valid from in a minute', `Bearer ${await changed(context, { nbf: now + 60 })}`, 'token_not_yet_valid'],
    ['issued in a minute', `Bearer ${await changed(context, { iat: now + 60 })}`, 'token_not_yet_valid'],
    ['a life of 49 hours (R1.3)', `Bearer ${await changed(context, { exp: now + 49 * 3600 })}`, 'token_lifetime'],
    ['no jti', `Bearer ${await changed(context, { jti: undefined })}`, 'token_claims'],
    ['no subject', `Bearer ${await changed(context, { sub: undefined })}`, 'token_claims'],
    ['no client_id', `Bearer ${await changed(context, { client_id: undefined })}`, 'token_claims'],
    ['a scope that is a list', `Bearer ${await changed(context, { scope: ['mcp:read'] })}`, 'token_claims'],
    ['a vault_ids that is text', `Bearer ${await changed(context, { vault_ids: 'sales' })}`, 'token_claims'],
    [
      'a payload exchanged under the signature',
      `Bearer ${head}.${encode({ ...claims, scope: 'mcp:write' })}.${signature}`,
      'token_signature',
    ],
    ['a signature that was cut', `Bearer ${head}.${payload}.${signature.slice(0, -4)}`, 'token_signature'],
    ['a signature in DER form', `Bearer ${head}.${payload}.${derOf(signature)}`, 'token_signature'],
  ];
  const tokens = rows.map(
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
      ...basic('two Authorization headers', path),
      headers: { ...JSON_HEADERS, authorization: [`Bearer ${good}`, `Bearer ${good}`] },
      status: 401,
      code: 'token_malformed',
      challenge: 'invalid_token',
    },
    {
      ...basic('the token in the query alone', `${path}?access_token=${good}`),
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
  const write = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'delete_recording' } });
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
      headers: { ...modern, 'mcp-method': 'tools/call', 'mcp-name': 'delete_recording' },
      body: write,
      ...forbidden,
    }),
    row('a writing tool whose name is encoded in the header', {
      headers: {
        ...modern,
        'mcp-method': 'tools/call',
        'mcp-name': `=?base64?${Buffer.from('delete_recording').toString('base64')}?=`,
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

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** The same ES256 signature as an ASN.1 sequence, as OpenSSL makes it and JWS forbids it. */
function derOf(signature: string): string {
  const raw = Buffer.from(signature, 'base64url');
  const integer = (part: Buffer) => Buffer.concat([Buffer.from([2, part.length + 1, 0]), part]);
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]).toString('base64url');
}
