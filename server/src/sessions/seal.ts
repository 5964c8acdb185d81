import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { sameText } from '@bankhouse/core';

/** How long the id of a session is taken, in seconds: whoever needs one longer begins another. */
export const SESSION_SECONDS = 86_400;
/** A clock that gave an id may be before ours by as much, in seconds. */
const SKEW_SECONDS = 60;
/** A place with more than this many characters is not given out: a client that comes back begins at an earlier one. */
const MAX_PLACE = 3000;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export type SealKeys = ReadonlyMap<number, Uint8Array>;

/** Up to where a stream's client was told everything. */
export interface Place {
  /** A snapshot of Postgres, as api.read_feeds has it. */
  readonly position: string;
  /** Which servers' positions it is one of. */
  readonly server: string;
}

/**
 * Id of a new session: `<generation>.<seconds since 1970, base 36>.<128 random bits>.<mac>`. The MAC is HMAC-SHA256 over those and the
 * subject, under HKDF-SHA256 of the pod's newest seal key with `info = "bankhouse/session"`. That key is one incarnation's of one bank, and
 * every replica's, so the id says what it needs to wherever it comes.
 *
 * @param now seconds since 1970
 */
export function sealSession(keys: SealKeys, subject: string, now: number): string {
  const [generation, key] = newest(keys);
  const signed = `${generation}.${now.toString(36)}.${randomBytes(16).toString('base64url')}`;
  return `${signed}.${macOf(key, signed, subject)}`;
}

/** @returns the session's UUID; undefined for an id that we didn't give to this subject, or that is too old */
export function openSession(keys: SealKeys, id: string, subject: string, now: number): string | undefined {
  const parts = /^(([0-9]{1,9})\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{22}))\.([A-Za-z0-9_-]{43})$/.exec(id);
  if (parts === null) return undefined;
  const [, signed = '', generation = '', begun = '', random = '', claimed = ''] = parts;
  const key = keys.get(Number(generation));
  if (key === undefined || !sameText(macOf(key, signed, subject), claimed)) return undefined;
  const age = now - Number.parseInt(begun, 36);
  return age <= SESSION_SECONDS && age >= -SKEW_SECONDS ? uuidOf(Buffer.from(random, 'base64url')) : undefined;
}

/**
 * Id of an event after which a client knows everything up to `place`: encrypted, since a position tells how much is written on the whole
 * platform, with AES-256-GCM under another key of the pod's seal key (`info = "bankhouse/event"`), and good for this session alone.
 *
 * @returns undefined for a place that is too long
 */
export function sealPlace(keys: SealKeys, session: string, place: Place): string | undefined {
  const text = `${place.server} ${place.position}`;
  if (text.length > MAX_PLACE) return undefined;
  const [generation, key] = newest(keys);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', derived(key, 'event'), nonce).setAAD(Buffer.from(session));
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${generation}.${sealed.toString('base64url')}`;
}

/** @returns undefined for an id that we didn't give in this session */
export function openPlace(keys: SealKeys, session: string, id: string): Place | undefined {
  const parts = id.length <= 2 * MAX_PLACE ? /^([0-9]{1,9})\.([A-Za-z0-9_-]{40,})$/.exec(id) : null;
  const key = keys.get(Number(parts?.[1] ?? Number.NaN));
  if (parts === null || key === undefined) return undefined;
  const sealed = Buffer.from(parts[2] ?? '', 'base64url');
  const end = sealed.length - TAG_BYTES;
  if (end <= NONCE_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', derived(key, 'event'), sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(Buffer.from(session))
    .setAuthTag(sealed.subarray(end));
  try {
    const text = `${decipher.update(sealed.subarray(NONCE_BYTES, end), undefined, 'utf8')}${decipher.final('utf8')}`;
    const [server = '', position = ''] = text.split(' ');
    return { server, position };
  } catch {
    return undefined;
  }
}

function newest(keys: SealKeys): [number, Uint8Array] {
  const generation = Math.max(...keys.keys());
  const key = keys.get(generation);
  if (key === undefined) throw new Error('There is no seal key.');
  return [generation, key];
}

function macOf(key: Uint8Array, signed: string, subject: string): string {
  return createHmac('sha256', derived(key, 'session')).update(`${signed} ${subject}`).digest('base64url');
}

/** By seal key: derived once, and gone with it. */
const known = new WeakMap<Uint8Array, Map<string, Buffer>>();

function derived(key: Uint8Array, purpose: 'session' | 'event'): Buffer {
  const ofKey = known.get(key) ?? new Map<string, Buffer>();
  known.set(key, ofKey);
  const found = ofKey.get(purpose) ?? Buffer.from(hkdfSync('sha256', key, '', `bankhouse/${purpose}`, 32));
  ofKey.set(purpose, found);
  return found;
}

function uuidOf(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
