import { z } from 'zod';

export const ENTITY_KINDS = ['note', 'task', 'comment', 'chat', 'chat_message'] as const;
/** What is searched and queried, in the singular, as every tool names it. */
export const KINDS = [...ENTITY_KINDS, 'recording'] as const;
export type Kind = (typeof KINDS)[number];

/** As it stands in URIs, and in what the search functions of the database take and give. */
export type PluralKind = `${Kind}s`;

export function pluralOf<K extends Kind>(kind: K): `${K}s` {
  return `${kind}s`;
}

/** The one filter by kind, in every search. A tool about one thing takes its `kind` and its id. */
export const kindsFilter = z
  .array(z.enum(KINDS))
  .min(1)
  .max(KINDS.length)
  .optional()
  .meta({ description: 'Left out: all of them.' });
