import { z } from 'zod';

export const ENTITY_KINDS = ['notes', 'tasks', 'comments', 'chats', 'chat_messages'] as const;
/** What is searched, by the plural that stands in its URIs. */
export const KINDS = [...ENTITY_KINDS, 'recordings'] as const;
export type Kind = (typeof KINDS)[number];

/** The one filter by kind, in every search. A tool about one thing takes its `kind`, in the singular, and its id. */
export const kindsFilter = z
  .array(z.enum(KINDS))
  .min(1)
  .max(KINDS.length)
  .optional()
  .meta({ description: 'Left out: all of them.' });
