import { ASSERTION_MAX_BYTES } from './assertion.ts';

/** Bounds that gateway and bank server share, so that the one never takes what the other refuses. */

/** Request line and headers as a client may send them, in bytes. */
export const REQUEST_HEADERS_MAX_BYTES = 16 * 1024;
/** The same with what the gateway adds: two assertions. */
export const SEALED_HEADERS_MAX_BYTES = REQUEST_HEADERS_MAX_BYTES + 2 * ASSERTION_MAX_BYTES;

/** A request's body, in bytes. */
export const REQUEST_BODY_MAX_BYTES = 1024 * 1024;
/** How deep its JSON may nest. */
export const JSON_MAX_DEPTH = 64;
/** Values in it, members and elements at all depths: a megabyte of `[],[],…` takes longer to parse than anything that means something. */
export const JSON_MAX_VALUES = 50_000;
/** Messages in one batch (JSON-RPC 2.0 arrays, of MCP 2025-03-26). */
export const BATCH_MAX_MESSAGES = 50;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/**
 * Whether JSON text stays within depth and number of values, in one pass and before anything is made of it. What is no JSON gets some answer; the
 * parser refuses it afterwards.
 *
 * @param text UTF-8
 */
export function jsonWithinBounds(text: Uint8Array): 'within' | 'too_deep' | 'too_many' {
  let depth = 0;
  let values = 1;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i];
    if (byte === QUOTE) {
      for (i += 1; i < text.length && text[i] !== QUOTE; i++) if (text[i] === BACKSLASH) i += 1;
    } else if (byte === COMMA) {
      values += 1;
      if (values > JSON_MAX_VALUES) return 'too_many';
      // { and [, } and ] differ in one bit.
    } else if (byte !== undefined && (byte | 0x20) === 0x7b) {
      depth += 1;
      values += 1;
      if (depth > JSON_MAX_DEPTH) return 'too_deep';
      if (values > JSON_MAX_VALUES) return 'too_many';
    } else if (byte !== undefined && (byte | 0x20) === 0x7d) depth -= 1;
  }
  return 'within';
}
