import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import type { Transaction } from '../../../database/transaction.ts';
import { definePrompt } from '../../../mcp/toolset.ts';
import { callArgument, callMaterial, completeCall, completeVault, MATERIAL_ONLY, say } from '../../recordings/index.ts';
import { completeLanguage, languageArgument, writeIn } from '../../shared/languages.ts';
import { requireVault } from '../../shared/vaults.ts';
import { readRows } from '../api.ts';

const KNOWN_TASKS = 100;

export const followUpsToTasks = definePrompt({
  name: 'follow_ups_to_tasks',
  title: 'Follow-ups to tasks',
  description: 'Finds what people promised to do on a call and makes tasks of it. Run twice, it makes none twice.',
  uses: ['create_task', 'batch', 'get_transcript'],
  input: z.strictObject({
    call: callArgument,
    vault: z
      .string()
      .trim()
      .regex(VAULT_ID_PATTERN, { message: 'it must be a vault id, as list_vaults gives it' })
      .optional()
      .meta({ title: 'Vault', description: "Id of the vault for the tasks. Leave it out for the call's own." }),
    language: languageArgument,
  }),
  complete: { call: completeCall, vault: completeVault, language: completeLanguage },
  async messages({ call, vault, language }, context) {
    await requireVault(context.tx, vault, 'vault');
    const { recording, message } = await callMaterial(context, call);
    const known = await knownTasks(context.tx, recording.id);
    const fields = [
      `recordingId "${recording.id}"`,
      vaultField(vault, recording.vaultIds),
      `idempotencyKey "follow-up-${recording.id}-<second>", where <second> is the second of the call at which the promise was made: [1:02:05] is 3725`,
      'title: an imperative of at most 80 characters',
      'description: what was said, in one or two sentences, with the moment such as [12:34]',
      'assignee: who promised it, by e-mail address where the participants have it; leave it out where it is open',
      `dueAt: only where a date was named or follows from what was said; the call began ${recording.startedAt}`,
      'priority: high or urgent only where somebody said so',
    ];
    return [
      say(
        [
          'Turn the action items of the call below into tasks.',
          '',
          '1. Read it to the end. If it says that it goes on, read on with get_transcript.',
          '2. List the action items: what somebody promised or was asked to do and agreed to. Leave out ideas, wishes, and what was done within the call.',
          '3. Leave out what is among the tasks of this call already, done, cancelled and archived ones included.',
          '4. Show me the list, and then make the tasks: create_task for one; for several, batch with the operation {"tool": "create_task", "arguments": {…}} for each. Each with:',
          ...fields.map((field) => `   - ${field}`),
          '5. replayed true in an answer, or the error conflict for an idempotencyKey, means that the task is there already: leave it out, send the rest of a batch again, and never send another key for it.',
          '6. End with the tasks that you made, those that were there, and what you were unsure about.',
          '',
          `Write titles and descriptions in ${writeIn(language, 'the language of the call')}.`,
          '',
          `Tasks of this call so far:\n${known}`,
          '',
          MATERIAL_ONLY,
        ].join('\n'),
      ),
      message,
    ];
  },
});

async function knownTasks(tx: Transaction, recordingId: string): Promise<string> {
  const found = await readRows(tx, 'task', {
    fields: ['title', 'status', 'assignee', 'archivedAt'],
    filter: { field: 'recordingId', op: 'eq', value: recordingId },
    archived: 'include',
    sort: [{ field: 'createdAt', direction: 'asc' }],
    limit: KNOWN_TASKS + 1,
  });
  if (found.length === 0) return '(none)';
  const lines = found.slice(0, KNOWN_TASKS).map(({ id, row: { title, status, assignee, archivedAt } }) => {
    const state = archivedAt === null ? status : `${status}, archived`;
    return `- ${title} [${state}]${assignee === null ? '' : `, assignee ${assignee}`}, id ${id}`;
  });
  return [...lines, ...(found.length > KNOWN_TASKS ? ['- (and more: list_tasks with this recordingId)'] : [])].join(
    '\n',
  );
}

function vaultField(asked: string | undefined, ofCall: readonly string[]): string {
  if (asked !== undefined) return `vaultId "${asked}"`;
  const [first, ...others] = ofCall;
  if (first === undefined) return 'no vaultId: the call is in no vault';
  if (others.length === 0) return `vaultId "${first}"`;
  return `vaultId: ask me which of ${ofCall.map((id) => `"${id}"`).join(', ')}`;
}
