import { chatMessage } from './chat-messages.ts';
import { chat } from './chats.ts';
import { comment } from './comments.ts';
import type { EntityDefinition } from './definition.ts';
import { note } from './notes.ts';
import { task } from './tasks.ts';

export {
  type Action,
  allFields,
  COMMON_FIELDS,
  type EntityDefinition,
  type EntityName,
  type Field,
  type FieldType,
} from './definition.ts';

/** All entities, in the order in which tools and docs list them. */
export const ENTITIES: readonly EntityDefinition[] = [note, task, comment, chat, chatMessage];
