/** The part of the table of bad requests that is about the token, but for its claims. */
import { createHmac } from 'node:crypto';
import { exportJWK, exportSPKI, generateKeyPair } from 'jose';
import { type BadRequestContext, changed, goodClaims, signToken } from './tokens.ts';

/** Values of `Authorization` that are refused with 401 and this code. */
export type BadAuthorization = readonly [name: string, authorization: string | string[] | undefined, code: string];

export async function badAuthorizations(context: BadRequestContext): Promise<BadAuthorization[]> {
  const { publicKey, kid, now } = context;
  const good = await changed(context, {});
  const [head = '', payload = '', signature = ''] = good.split('.');
  const foreign = await generateKeyPair('ES256', { extractable: true });
  const foreignJwk = await exportJWK(foreign.publicKey);
  const rsa = await generateKeyPair('RS256');
  const spki = await exportSPKI(publicKey);
  const x = (await exportJWK(publicKey)).x ?? '';
  const another = await changed(context, { scope: 'mcp:write' });
  // Older than a minute: the key of a newer one could be so new that it is not known yet (503, G11).
  const old = { iat: now - 120 };
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
    ['an unknown kid', `Bearer ${await changed(context, old, { kid: 'unknown' })}`, 'token_key'],
    ['a kid that is a path', `Bearer ${await changed(context, old, { kid: '../../dev/null' })}`, 'token_key'],
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
    [
      'a payload exchanged under the signature',
      `Bearer ${head}.${encode({ ...claims, scope: 'mcp:write' })}.${signature}`,
      'token_signature',
    ],
    ['a signature that was cut', `Bearer ${head}.${payload}.${signature.slice(0, -4)}`, 'token_signature'],
    ['a signature in DER form', `Bearer ${head}.${payload}.${derOf(signature)}`, 'token_signature'],
    ['a signature of zeros', `Bearer ${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`, 'token_signature'],
    ['the signature of another token', `Bearer ${head}.${payload}.${another.split('.')[2]}`, 'token_signature'],
    ['a signature whose halves are exchanged', `Bearer ${head}.${payload}.${exchanged(signature)}`, 'token_signature'],
    ['a signature with padding', `Bearer ${good}==`, 'token_malformed'],
    ['an empty signature', `Bearer ${head}.${payload}.`, 'token_malformed'],
    ['an empty payload', `Bearer ${head}..${signature}`, 'token_malformed'],
    ['a payload that is a list', `Bearer ${head}.${encode([claims])}.${signature}`, 'token_malformed'],
    ['a payload that is null', `Bearer ${head}.${encode(null)}.${signature}`, 'token_malformed'],
    ['a header that is a list', `Bearer ${encode([own])}.${payload}.${signature}`, 'token_malformed'],
    ['a header without alg', `Bearer ${forged({ typ: 'at+jwt', kid }, claims, signature)}`, 'token_algorithm'],
    ['alg in lower case', `Bearer ${forged({ ...own, alg: 'es256' }, claims, signature)}`, 'token_algorithm'],
    ['alg as a list', `Bearer ${forged({ ...own, alg: ['ES256', 'none'] }, claims, signature)}`, 'token_algorithm'],
    [
      "alg ES384 under the kid of another algorithm's key",
      `Bearer ${forged({ ...own, alg: 'ES384' }, claims, signature)}`,
      'token_key',
    ],
    [
      "alg PS256 under the kid of another algorithm's key",
      `Bearer ${forged({ ...own, alg: 'PS256' }, claims, signature)}`,
      'token_key',
    ],
    [
      "alg EdDSA under the kid of another algorithm's key",
      `Bearer ${forged({ ...own, alg: 'EdDSA' }, claims, signature)}`,
      'token_key',
    ],
    ['a compressed payload (zip)', `Bearer ${forged({ ...own, zip: 'DEF' }, claims, signature)}`, 'token_header'],
    ['an empty crit', `Bearer ${forged({ ...own, crit: [] }, claims, signature)}`, 'token_header'],
    ['an empty kid', `Bearer ${await changed(context, {}, { kid: '' })}`, 'token_key'],
    ['a kid that is a number', `Bearer ${forged({ ...own, kid: 1 }, claims, signature)}`, 'token_key'],
    ['a kid of 257 characters', `Bearer ${await changed(context, {}, { kid: 'k'.repeat(257) })}`, 'token_key'],
    ['a kid that is a query', `Bearer ${await changed(context, old, { kid: "' or 1=1 --" })}`, 'token_key'],
    ['a kid that every object has', `Bearer ${await changed(context, old, { kid: '__proto__' })}`, 'token_key'],
    ['a kid with a blank behind', `Bearer ${await changed(context, old, { kid: `${kid} ` })}`, 'token_key'],
    ['typ of an id token', `Bearer ${await changed(context, {}, { typ: 'id+jwt' })}`, 'token_type'],
    ['typ of a proof of possession', `Bearer ${await changed(context, {}, { typ: 'dpop+jwt' })}`, 'token_type'],
    ['typ with something behind', `Bearer ${await changed(context, {}, { typ: 'at+jwt; v=2' })}`, 'token_type'],
    ['typ as a list', `Bearer ${forged({ ...own, typ: ['at+jwt'] }, claims, signature)}`, 'token_type'],
    ['the scheme DPoP', `DPoP ${good}`, 'token_malformed'],
    ['the scheme twice', `Bearer Bearer ${good}`, 'token_malformed'],
    ['a scheme that only begins so', `Bearerx ${good}`, 'token_malformed'],
    ['the token without a scheme', good, 'token_malformed'],
    ['the token in quotes', `Bearer "${good}"`, 'token_malformed'],
    ['a tab behind the scheme', `Bearer\t${good}`, 'token_malformed'],
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

/** The same ES256 signature with s in front of r. */
function exchanged(signature: string): string {
  const raw = Buffer.from(signature, 'base64url');
  return Buffer.concat([raw.subarray(32), raw.subarray(0, 32)]).toString('base64url');
}
