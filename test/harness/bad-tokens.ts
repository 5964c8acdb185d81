/** The part of the table of bad requests that is about the token. */
import { createHmac } from 'node:crypto';
import { bankPath, bankUrl } from '@bankhouse/core';
import { exportJWK, exportSPKI, generateKeyPair } from 'jose';
import { type BadRequestContext, changed, goodClaims, signToken } from './tokens.ts';

/** Values of `Authorization` that are refused with 401 and this code. */
export type BadAuthorization = readonly [name: string, authorization: string | string[] | undefined, code: string];

export async function badAuthorizations(context: BadRequestContext): Promise<BadAuthorization[]> {
  const { publicKey, kid, bank, otherBank, frontDoor, issuer, now } = context;
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
  return [
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
    // Older than a minute: the key of a newer one could be so new that it is not known yet (503, G11).
    ['an unknown kid', `Bearer ${await changed(context, { iat: now - 120 }, { kid: 'unknown' })}`, 'token_key'],
    [
      'a kid that is a path',
      `Bearer ${await changed(context, { iat: now - 120 }, { kid: '../../dev/null' })}`,
      'token_key',
    ],
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
    ['the path alone as audience', `Bearer ${await changed(context, { aud: bankPath(bank) })}`, 'token_audience'],
    ['an empty list of audiences', `Bearer ${await changed(context, { aud: [] })}`, 'token_audience'],
    [
      'a second audience, which could use the token here (G6)',
      `Bearer ${await changed(context, { aud: [bankUrl(frontDoor, bank), 'https://other.example'] })}`,
      'token_audience',
    ],
    [
      'both banks as audience (G6)',
      `Bearer ${await changed(context, { aud: [bankUrl(frontDoor, otherBank), bankUrl(frontDoor, bank)] })}`,
      'token_audience',
    ],
    [
      'the right audience twice (G6)',
      `Bearer ${await changed(context, { aud: [bankUrl(frontDoor, bank), bankUrl(frontDoor, bank)] })}`,
      'token_audience',
    ],
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
    ['two Authorization headers', [`Bearer ${good}`, `Bearer ${good}`], 'token_malformed'],
  ];
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
