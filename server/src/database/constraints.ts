import { ToolError, type ToolErrorCode } from '../mcp/tool-error.ts';

interface Rule {
  readonly code: ToolErrorCode;
  readonly message: string;
  readonly remedy: string;
  /** The argument that was wrong. */
  readonly field?: string;
}

const noVault: Rule = {
  code: 'not_found',
  message: 'There is no such vault that you may see.',
  remedy: 'list_vaults gives the ids.',
  field: 'vaultId',
};

/** Rules of the tables that arguments of a good form can break, by the name of the constraint (migrations/0009). */
const RULES: Readonly<Record<string, Rule>> = {
  notes_bank_id_vault_id_fkey: noVault,
  tasks_bank_id_vault_id_fkey: noVault,
  chats_bank_id_vault_id_fkey: noVault,
  comments_bank_id_vault_id_fkey: noVault,
  recording_visible: {
    code: 'not_found',
    message: 'There is no recording with this recordingId that you may see.',
    remedy: 'list_recordings and search_recordings give the ids.',
    field: 'recordingId',
  },
  chat_messages_chat: {
    code: 'not_found',
    message: 'There is no chat with this chatId that you may see.',
    remedy: 'list_chats gives the ids.',
    field: 'chatId',
  },
  chat_messages_reply_to: {
    code: 'not_found',
    message: 'The chat has no message with the id that replyTo gives.',
    remedy: 'list_chat_messages with this chatId gives the ids of its messages.',
    field: 'replyTo',
  },
  chat_messages_closed: {
    code: 'conflict',
    message: 'The chat is closed and takes no more messages.',
    remedy: 'process_chat with action "reopen" opens it.',
    field: 'chatId',
  },
  chat_messages_redacted: {
    code: 'conflict',
    message: 'The message is redacted: its text is gone for good and can not be written again.',
    remedy: 'Create another message.',
    field: 'body',
  },
  chat_messages_stay: {
    code: 'invalid_argument',
    message: 'A message stays in its chat.',
    remedy: 'Leave chatId out, or create a message in the other chat.',
    field: 'chatId',
  },
  comments_parent: {
    code: 'not_found',
    message: 'There is no parent with this parentKind and parentId that you may see.',
    remedy: 'list_notes, list_tasks, list_chats and list_recordings give the ids.',
    field: 'parentId',
  },
  comments_stay: {
    code: 'invalid_argument',
    message: 'A comment stays with its parent.',
    remedy: 'Leave parentKind and parentId out, or create a comment on the other parent.',
    field: 'parentId',
  },
  comments_vault_of_parent: {
    code: 'invalid_argument',
    message: 'A comment is in the vault of its parent.',
    remedy: 'Leave vaultId out.',
    field: 'vaultId',
  },
};

/** What Postgres reports about a broken constraint (protocol, "Error and Notice Message Fields"). */
interface Report {
  readonly constraint?: unknown;
  readonly detail?: unknown;
}

/** The error for a constraint with a rule of ours; undefined for any other failure. */
export function brokenConstraint(error: unknown): ToolError | undefined {
  const { constraint, detail } = (error ?? {}) as Report;
  if (constraint === 'comments_vault_ambiguous') return ambiguousVault(detail, error);
  const rule = typeof constraint === 'string' && Object.hasOwn(RULES, constraint) ? RULES[constraint] : undefined;
  if (rule === undefined) return undefined;
  const { code, message, remedy, field } = rule;
  return new ToolError(code, message, remedy, field === undefined ? {} : { field });
}

/** @param detail the vaults that can be meant, as a JSON list: those that the caller may see */
function ambiguousVault(detail: unknown, cause: unknown): ToolError {
  let vaults: unknown;
  try {
    vaults = JSON.parse(String(detail));
  } catch {
    vaults = undefined;
  }
  const named = Array.isArray(vaults) ? vaults.join(', ') : 'several vaults';
  return new ToolError(
    'invalid_argument',
    `vaultId must name a vault that the recording is in: ${named}.`,
    'Send one of them as vaultId.',
    { field: 'vaultId', ...(Array.isArray(vaults) ? {} : { cause }) },
  );
}
