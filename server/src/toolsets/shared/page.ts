import { z } from 'zod';

/** Arguments of everything that comes in pages. */
export const pageShape = {
  cursor: z.string().min(1).max(1024).optional().meta({
    description: 'nextCursor of the page before; same filters.',
  }),
  limit: z.int().min(1).max(100).default(20).meta({ description: '1 to 100.' }),
};

export const nextCursor = z
  .string()
  .optional()
  .meta({ description: 'Send it as cursor for the next page. Absent: this is the last page.' });

/** The end of a page's text. */
export function morePages(cursor: string | undefined): string {
  return cursor === undefined ? '' : `\nMore: the same call with cursor "${cursor}".`;
}
