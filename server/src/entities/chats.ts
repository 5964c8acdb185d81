import { type EntityDefinition, LANGUAGE, RECORDING, TAGS, TITLE, VAULT } from './definition.ts';

export const chat: EntityDefinition = {
  name: 'chat',
  plural: 'chats',
  title: 'Chat',
  description: 'A conversation; its messages are chat_messages',
  fields: [
    TITLE,
    {
      name: 'participants',
      column: 'participants',
      type: 'texts',
      writable: 'always',
      default: [],
      max: 50,
      entryMax: 320,
      description: 'E-mail addresses or names',
    },
    TAGS,
    RECORDING,
    VAULT,
    LANGUAGE,
  ],
  statuses: ['open', 'closed'],
  actions: {
    close: { from: ['open'], to: 'closed', description: 'ends it; no message can be added' },
    reopen: { from: ['closed'], to: 'open', description: 'goes on with it' },
  },
  label: 'title',
  text: undefined,
  children: ['chat_message', 'comment'],
};
