import { z } from 'zod';

/** The platform's root keys by generation: one, or two while it goes from one to the next. */
export type RootKeys = ReadonlyMap<number, Uint8Array>;

/** Base64 or base64url, which may be broken into lines. */
const ENTRY = /^(?:([0-9]{1,9}):)?([A-Za-z0-9+/_\s-]+={0,2})$/;

/** `<base64>`, or two of `<generation>:<base64>`, in lines or with blanks between; what names no generation is the first. */
export const rootKeysSchema = z
  .string()
  .transform((text, context): RootKeys => {
    const roots = new Map<number, Uint8Array>();
    const entries = text.trim().split(/\s+(?=[0-9]{1,9}:)/);
    const wrong = (message: string) => context.addIssue({ code: 'custom', message });
    for (const entry of entries) {
      const [, generation = '1', encoded = ''] = ENTRY.exec(entry) ?? [];
      const root = Buffer.from(encoded, 'base64');
      if (root.length < 32) wrong('it must be base64 of at least 32 bytes, or two lines <generation>:<base64>');
      roots.set(Number(generation), root);
    }
    if (entries.length > 2) wrong('it must have one root key, or two during a rotation');
    else if (roots.size !== entries.length) wrong('it must have each generation once');
    return roots;
  })
  .describe('give at least 32 random bytes as base64');

/** The generation in force, or to come into force. */
export function newestGeneration(roots: RootKeys): number {
  return Math.max(...roots.keys());
}

/** The newest up to this one; undefined: none. */
export function generationUpTo(roots: RootKeys, limit: number): number | undefined {
  const known = [...roots.keys()].filter((generation) => generation <= limit);
  return known.length === 0 ? undefined : Math.max(...known);
}
