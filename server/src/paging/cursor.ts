import { hash } from 'node:crypto';
import { z } from 'zod';
import { ToolError } from '../mcp/tool-error.ts';

const VERSION = 1;
/** Of a cursor, in characters, unless a list needs more. */
const MAX_LENGTH = 1024;
const envelopeSchema = z.tuple([z.literal(VERSION), z.string(), z.string(), z.array(z.unknown())]);

/**
 * Cursors of one list: base64url JSON `[version, kind, digest of the filter, position]`. They hold no secret and need no seal:
 * what a caller may see is decided by the database, whatever position is asked for. The digest keeps a cursor from going on
 * under another filter, which would skip rows unnoticed.
 *
 * @param kind unique in the process
 */
export function cursorsOf<P extends unknown[]>(kind: string, position: z.ZodType<P>, { maxLength = MAX_LENGTH } = {}) {
  return {
    encode(at: P, filter: unknown): string {
      return Buffer.from(JSON.stringify([VERSION, kind, digestOf(filter), at])).toString('base64url');
    },
    /** @throws ToolError `invalid_cursor` */
    decode(cursor: string, filter: unknown): P {
      const envelope = envelopeSchema.safeParse(parse(cursor, maxLength));
      if (!envelope.success || envelope.data[1] !== kind) throw invalid('The cursor is not one that this list gave.');
      if (envelope.data[2] !== digestOf(filter)) throw invalid('The cursor belongs to a list with other filters.');
      const at = position.safeParse(envelope.data[3]);
      if (!at.success) throw invalid('The cursor is not one that this list gave.');
      return at.data;
    },
  };
}

function parse(cursor: string, maxLength: number): unknown {
  if (cursor.length > maxLength) return undefined;
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function digestOf(filter: unknown): string {
  return hash('sha256', JSON.stringify(filter), 'base64url').slice(0, 8);
}

function invalid(message: string): ToolError {
  return new ToolError(
    'invalid_cursor',
    message,
    'Send nextCursor of the previous page unchanged and with the same filters, or leave cursor out to begin again.',
    { field: 'cursor' },
  );
}
