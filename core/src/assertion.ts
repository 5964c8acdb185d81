import { createHmac, hkdfSync } from 'node:crypto';
import { z } from 'zod';
import { BankhouseError } from './errors.ts';
import { ACCESSES } from './policy/access.ts';
import { sameText } from './same-text.ts';

/** Header with the assertion sealed for the bank's pod. */
export const POD_ASSERTION_HEADER = 'bankhouse-assertion';
/** Header with the assertion sealed for the database; the bank server passes it on without being able to make one. */
export const DATABASE_ASSERTION_HEADER = 'bankhouse-database-assertion';
/** Every header that starts so is ours: the gateway drops what a client sends under it. */
export const ASSERTION_HEADER_PREFIX = 'bankhouse-';

/**
 * How old an assertion may be, and by how much clocks may differ, in seconds (R3.2): it is sealed when the request is sent. What an older
 * bank server takes is five minutes; the database, which has the last word, is as strict as this for every one of them.
 */
export const ASSERTION_WINDOW_SECONDS = 60;
export const ASSERTION_SKEW_SECONDS = 5;
/** A sealed assertion is never longer than this, in bytes; checked before anything is parsed. */
export const ASSERTION_MAX_BYTES = 8192;

const fieldsSchema = z.object({
  /** The bank's id; which of its incarnations, the key says. */
  bank: z.string(),
  /** The caller: `sub` of the token. */
  sub: z.string(),
  /** Issuer of the token. */
  iss: z.string(),
  /**
   * What this one request needs, whatever the token would allow (G7). Absent, it is of a gateway before it, and is for whatever its scopes say.
   * That goes with the release after the one that brought `access`: here, at the bank server's door and in `bank.accesses_of`
   * (migrations/tenants/functions/base.sql); and `scopes` with it, once no bank server is left that decides by them.
   */
  access: z.enum(ACCESSES).optional(),
  /** Granted scopes. Bank servers before `access` decide by them. */
  scopes: z.array(z.string()),
  /** Vault ids that the caller may see; `null` means every vault of the bank. An empty list sees nothing. */
  vaults: z.array(z.string()).nullable(),
  /** The token's `jti`. */
  jti: z.string(),
  /** When the token expires: `exp` of it, seconds since 1970 (RFC 7519). Only without `access` it may be absent. */
  exp: z.number().int().optional(),
  /** When the gateway made the assertion: seconds since 1970. */
  iat: z.number().int(),
  /** Request id, for logs. */
  rid: z.string(),
});

const assertionSchema = fieldsSchema.refine(({ access, exp }) => access === undefined || exp !== undefined);

/** What the gateway says about a caller to the bank server and to the database. */
export type Assertion = Readonly<z.infer<typeof assertionSchema>>;

export type SealTarget = 'pod' | 'database';

export class AssertionError extends BankhouseError {
  constructor(
    code: 'assertion_absent' | 'assertion_malformed' | 'assertion_forged' | 'assertion_expired',
    message: string,
  ) {
    super(code, message);
    this.name = 'AssertionError';
  }
}

/**
 * The 32-byte seal key of one incarnation of a bank, one target and one key generation: HKDF-SHA256 (RFC 5869) over the platform's root
 * key, with no salt and `info = "bankhouse/seal/<target>/<bank>/<incarnation>/<generation>"`. Only gateway and operator hold the root.
 *
 * @param incarnation metadata.uid of the Bank that the id was given to: whoever has the id next has other keys
 */
export function deriveSealKey(
  root: Uint8Array,
  target: SealTarget,
  bank: string,
  incarnation: string,
  generation: number,
): Buffer {
  if (root.length < 32) throw new BankhouseError('root_key_short', 'The root key must have at least 32 bytes.');
  const info = `bankhouse/seal/${target}/${bank}/${incarnation}/${generation}`;
  return Buffer.from(hkdfSync('sha256', root, '', info, 32));
}

/**
 * `<generation>.<payload>.<mac>`: the generation in decimal, the assertion as base64url JSON (no padding), and the base64url
 * HMAC-SHA256 of `<generation>.<payload>` under that generation's key.
 */
export function sealAssertion(assertion: Assertion, key: Uint8Array, generation: number): string {
  return sealPayload(payloadOf(assertion), key, generation);
}

/** What of a sealed assertion is the same under every key. */
export function payloadOf(assertion: Assertion): string {
  return Buffer.from(JSON.stringify(assertion)).toString('base64url');
}

/** `sealAssertion` of what `payloadOf` gave. */
export function sealPayload(payload: string, key: Uint8Array, generation: number): string {
  const signed = `${generation}.${payload}`;
  return `${signed}.${mac(signed, key)}`;
}

/**
 * Checks a sealed assertion and returns it.
 *
 * @param keys the accepted keys by generation, one or two
 * @param now seconds since 1970
 * @throws AssertionError with a code of its own for absent, malformed, forged (also: another bank's) and expired
 */
export function openAssertion(
  sealed: string | undefined,
  options: { bank: string; keys: ReadonlyMap<number, Uint8Array>; now: number },
): Assertion {
  if (sealed === undefined || sealed === '') {
    throw new AssertionError(
      'assertion_absent',
      'The request carries no assertion; call the bank through its gateway.',
    );
  }
  const parts =
    sealed.length <= ASSERTION_MAX_BYTES ? /^([0-9]{1,9})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{43})$/.exec(sealed) : null;
  if (parts === null) throw malformed();
  const [, generation = '', payload = '', claimed = ''] = parts;
  const key = options.keys.get(Number(generation));
  if (key === undefined || !sameText(mac(`${generation}.${payload}`, key), claimed)) {
    throw new AssertionError('assertion_forged', 'The assertion is not sealed with a key of this bank.');
  }
  const assertion = parse(payload);
  if (assertion.bank !== options.bank) {
    throw new AssertionError('assertion_forged', 'The assertion was made for another bank.');
  }
  const age = options.now - assertion.iat;
  if (age > ASSERTION_WINDOW_SECONDS || age < -ASSERTION_SKEW_SECONDS) {
    throw new AssertionError(
      'assertion_expired',
      `The assertion is outside its window of ${ASSERTION_WINDOW_SECONDS} seconds; compare the clocks.`,
    );
  }
  if (assertion.exp !== undefined && options.now > assertion.exp + ASSERTION_SKEW_SECONDS) {
    throw new AssertionError('assertion_expired', 'The token that the assertion was made of has expired.');
  }
  return assertion;
}

function mac(signed: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(signed).digest('base64url');
}

function parse(payload: string): Assertion {
  try {
    return assertionSchema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
  } catch {
    throw malformed();
  }
}

function malformed(): AssertionError {
  return new AssertionError(
    'assertion_malformed',
    'The assertion does not have its form <generation>.<payload>.<mac>.',
  );
}
