/** The part of the table of bad requests that is about what a token says, signed by its issuer all the same. */
import { bankPath, bankUrl } from '@bankhouse/core';
import { type BadRequestContext, changed } from './tokens.ts';

type BadClaims = readonly [name: string, claims: Record<string, unknown>, code: string];

export async function badClaims(
  context: BadRequestContext,
): Promise<[name: string, authorization: string, code: string][]> {
  const rows = [...issuers(context), ...audiences(context), ...times(context), ...forms(context)];
  return Promise.all(
    rows.map(async ([name, claims, code]) => [name, `Bearer ${await changed(context, claims)}`, code] as const),
  ).then((all) => all.map(([name, authorization, code]) => [name, authorization, code]));
}

function issuers({ issuer, bank, frontDoor }: BadRequestContext): BadClaims[] {
  const wrong: [name: string, iss: unknown][] = [
    ['another issuer', 'https://evil.example'],
    ['the issuer with a slash behind', `${issuer}/`],
    ['the issuer in upper case', issuer.toUpperCase()],
    ['no issuer', undefined],
    ['an empty issuer', ''],
    ['the issuer with a blank behind', `${issuer} `],
    ['the issuer with its port', `${issuer}:443`],
    ['the issuer with a dot behind', `${issuer}.`],
    ['the issuer by another scheme', issuer.replace(/^https?/, 'ftp')],
    ['the issuer behind somebody', issuer.replace('://', '://us@')],
    ['the issuer with a question', `${issuer}?keys=https://evil.example`],
    ['the issuer in front of another', `${issuer}.evil.example`],
    ['two issuers in a list', [issuer, 'https://evil.example']],
    ['two issuers in a text', `${issuer} https://evil.example`],
    ['the issuer in an object', { iss: issuer }],
    ['an issuer that is a file', 'file:///etc/passwd'],
    ['an issuer that is its own key set', 'data:application/jwk-set+json,{"keys":[]}'],
    ['an issuer that every object has', '__proto__'],
    ['the bank as its own issuer', bankUrl(frontDoor, bank)],
  ];
  return wrong.map(([name, iss]) => [name, { iss }, 'token_issuer']);
}

function audiences({ frontDoor, bank, otherBank }: BadRequestContext): BadClaims[] {
  const url = bankUrl(frontDoor, bank);
  const elsewhere: [name: string, aud: unknown][] = [
    ["the other bank's audience (R1.5)", bankUrl(frontDoor, otherBank)],
    ['the platform as audience', frontDoor],
    ['the audience with a slash behind', `${url}/`],
    ["an audience that only begins like the bank's", `${url}-2`],
    ['an audience that the bank only begins', url.slice(0, -1)],
    ['the path alone as audience', bankPath(bank)],
    ['the id alone as audience', bank],
    ['an empty audience', ''],
    ['an empty list of audiences', []],
    ['a star for an audience', '*'],
    ['all banks for an audience', bankUrl(frontDoor, '*')],
    ['the audience in upper case', url.toUpperCase()],
    ['the audience with its port', url.replace(frontDoor, `${frontDoor}:443`)],
    ['the audience by another scheme', url.replace(/^https?/, 'ftp')],
    ['the audience behind somebody', url.replace('://', '://us@')],
    ['the audience with a letter encoded', url.replace('/bank-', '/%62ank-')],
    ['the audience with a question', `${url}?`],
    ['the audience with a fragment', `${url}#tools`],
    ['the audience with a blank behind', `${url} `],
    ['two audiences in a text', `${url} ${bankUrl(frontDoor, otherBank)}`],
    ["the audience of the bank's metadata", url.replace('/mcp/', '/.well-known/oauth-protected-resource/mcp/')],
    ['a second audience, which could use the token here (G6)', [url, 'https://other.example']],
    ['both banks as audience (G6)', [bankUrl(frontDoor, otherBank), url]],
    ['the right audience twice (G6)', [url, url]],
  ];
  const formless: [name: string, aud: unknown][] = [
    ['no audience', undefined],
    ['null for an audience', null],
    ['an audience in an object', { url }],
    ['an audience in a list in a list', [[url]]],
    ['a list of audiences with a number', [url, 1]],
  ];
  return [
    ...elsewhere.map(([name, aud]): BadClaims => [name, { aud }, 'token_audience']),
    ...formless.map(([name, aud]): BadClaims => [name, { aud }, 'token_claims']),
  ];
}

function times({ now }: BadRequestContext): BadClaims[] {
  return [
    ['expired for 6 seconds', { iat: now - 600, exp: now - 6 }, 'token_expired'],
    ['expired before 1970', { iat: -600, exp: -300 }, 'token_expired'],
    ['expired before it was issued', { iat: now, exp: now - 60 }, 'token_expired'],
    ['no exp', { exp: undefined }, 'token_claims'],
    ['an exp that is text', { exp: String(now + 300) }, 'token_claims'],
    ['an exp that is null', { exp: null }, 'token_claims'],
    ['an exp with a fraction', { exp: now + 0.5 }, 'token_claims'],
    ['an exp that no number can hold', { exp: 1e300 }, 'token_claims'],
    ['an exp in milliseconds', { exp: (now + 300) * 1000 }, 'token_lifetime'],
    ['no iat', { iat: undefined }, 'token_claims'],
    ['an iat that is text', { iat: String(now) }, 'token_claims'],
    ['valid from in a minute', { nbf: now + 60 }, 'token_not_yet_valid'],
    ['an nbf that is text', { nbf: String(now - 60) }, 'token_claims'],
    ['issued in a minute', { iat: now + 60 }, 'token_not_yet_valid'],
    ['a life of 49 hours (R1.3)', { exp: now + 49 * 3600 }, 'token_lifetime'],
    ['a life of 49 hours that is nearly over (R1.3)', { iat: now - 49 * 3600 + 300 }, 'token_lifetime'],
  ];
}

function forms(_context: BadRequestContext): BadClaims[] {
  const wrong: [name: string, claims: Record<string, unknown>][] = [
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti of 129 characters', { jti: 'j'.repeat(129) }],
    ['a jti that is a number', { jti: 1 }],
    ['no subject', { sub: undefined }],
    ['an empty subject', { sub: '' }],
    ['a subject of 256 characters', { sub: 's'.repeat(256) }],
    ['a subject that is a list', { sub: ['tester', 'admin'] }],
    ['no client_id', { client_id: undefined }],
    ['an empty client_id', { client_id: '' }],
    ['a scope that is a list', { scope: ['mcp:read'] }],
    ['a scope that is null', { scope: null }],
    ['a scope of 1,025 characters', { scope: `mcp:read ${'x'.repeat(1016)}` }],
    ['a vault_ids that is text', { vault_ids: 'sales' }],
    ['a vault_ids that is null', { vault_ids: null }],
    ['a vault_ids that is an object', { vault_ids: { 0: 'sales', length: 1 } }],
    ['a vault that is a star', { vault_ids: ['*'] }],
    ['a vault that climbs', { vault_ids: ['../support'] }],
    ['a vault in upper case', { vault_ids: ['SALES'] }],
    ['a vault with a quote', { vault_ids: ["sales'--"] }],
    ['101 vaults', { vault_ids: Array.from({ length: 101 }, (_, i) => `v${i}`) }],
  ];
  return wrong.map(([name, claims]) => [name, claims, 'token_claims']);
}
