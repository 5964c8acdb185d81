/**
 * Requests that must never reach a bank server: bad tokens, paths, headers, bodies and guesses. One table for the gateway alone and for
 * the real front door; what differs is who signs.
 */
import { bankPath, bankUrl } from '@bankhouse/core';
import { badBodies } from './bad-bodies.ts';
import { badClaims } from './bad-claims.ts';
import { badHeaders } from './bad-headers.ts';
import { badNames } from './bad-names.ts';
import { type BadRequest, basic, JSON_HEADERS } from './bad-rows.ts';
import { badAuthorizations } from './bad-tokens.ts';
import { type BadRequestContext, changed } from './tokens.ts';

export type { BadRequest, Challenge } from './bad-rows.ts';
export { type BadRequestContext, goodClaims, signToken } from './tokens.ts';

/** The table. */
export async function badRequests(context: BadRequestContext): Promise<BadRequest[]> {
  const parts = [badTokens, badPaths, badHeaders, badBodies, badNames];
  return (await Promise.all(parts.map((part) => part(context)))).flat();
}

async function badTokens(context: BadRequestContext): Promise<BadRequest[]> {
  const path = bankPath(context.bank);
  const authorizations = [...(await badAuthorizations(context)), ...(await badClaims(context))];
  const tokens = authorizations.map(
    ([name, authorization, code]): BadRequest => ({
      ...basic(name, path),
      headers: { ...JSON_HEADERS, ...(authorization === undefined ? {} : { authorization }) },
      status: 401,
      code,
      challenge: code === 'token_absent' ? 'absent' : 'invalid_token',
    }),
  );
  const good = await changed(context, {});
  const elsewhere: [name: string, change: Partial<BadRequest>][] = [
    ['the token in the query alone', { target: `${path}?access_token=${good}` }],
    ['the token in a cookie', { headers: { ...JSON_HEADERS, cookie: `access_token=${good}; token=${good}` } }],
    ['the token in Proxy-Authorization', { headers: { ...JSON_HEADERS, 'proxy-authorization': `Bearer ${good}` } }],
    [
      'the token in X-Forwarded-Authorization',
      { headers: { ...JSON_HEADERS, 'x-forwarded-authorization': `Bearer ${good}` } },
    ],
    [
      'the token in a form (RFC 6750 section 2.2)',
      { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `access_token=${good}` },
    ],
  ];
  return [
    ...tokens,
    ...elsewhere.map(
      ([name, change]): BadRequest => ({
        ...basic(name, path),
        status: 401,
        code: 'token_absent',
        challenge: 'absent',
        ...change,
      }),
    ),
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
        isPastIngress: true,
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
