import { type EntityDefinition, LANGUAGE, MAX_BODY, RECORDING, TAGS, TITLE, VAULT } from './definition.ts';

export const note: EntityDefinition = {
  name: 'note',
  plural: 'notes',
  title: 'Note',
  description: 'A text that somebody keeps, about a recording or about anything else',
  fields: [
    TITLE,
    {
      name: 'body',
      column: 'body',
      type: 'longText',
      writable: 'always',
      default: '',
      max: MAX_BODY,
      description: 'Text, Markdown',
    },
    {
      name: 'pinned',
      column: 'pinned',
      type: 'boolean',
      writable: 'always',
      default: false,
      description: 'Whether it is kept on top',
    },
    TAGS,
    RECORDING,
    VAULT,
    LANGUAGE,
  ],
  statuses: ['draft', 'final'],
  actions: {
    finalize: { from: ['draft'], to: 'final', description: 'says that it is done' },
    reopen: { from: ['final'], to: 'draft', description: 'makes it a draft again' },
  },
  label: 'title',
  text: 'body',
  children: ['comment'],
};
