import { chatMessage } from './chat-messages.ts';
import { chat } from './chats.ts';
import { comment } from './comments.ts';
import type { EntityDefinition } from './definition.ts';
import { entityKind, type Kind, RECORDING_KIND } from './kinds.ts';
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
export type { ColumnType, Kind, KindField } from './kinds.ts';

/** All entities, in the order in which tools and docs list them. */
export const ENTITIES: readonly EntityDefinition[] = [note, task, comment, chat, chatMessage];

/** What the database is asked for by kind: all entities, and recordings. */
export const KINDS: readonly Kind[] = [...ENTITIES.map(entityKind), RECORDING_KIND];
