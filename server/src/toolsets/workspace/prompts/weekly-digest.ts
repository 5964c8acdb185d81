import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import type { Statement, Transaction } from '../../../database/transaction.ts';
import { ENTITIES, type EntityDefinition } from '../../../entities/index.ts';
import { definePrompt } from '../../../mcp/toolset.ts';
import { completeVault, formatDuration, MATERIAL_ONLY, say } from '../../recordings/index.ts';
import { completeLanguage, languageArgument, writeIn } from '../../shared/languages.ts';
import { resourceUri } from '../../shared/uris.ts';
import { requireVault } from '../../shared/vaults.ts';
import { instantSql } from '../../shared/when.ts';
import { cut, oneLine } from '../../shared/words.ts';
import { lineOf } from '../markdown.ts';
import { nouns, selectList, toEntry } from '../rows.ts';
import type { Values } from '../schemas.ts';
import { completeWeek, type Week, weekArgument, weekOf } from './week.ts';

/** So much of each kind; the digest says where there is more. */
const CALLS = 60;
const TASKS = 60;
const CHANGES = 25;
const SUMMARY_CHARACTERS = 600;
const SHOWN_PARTICIPANTS = 8;

interface CallRow {
  id: string;
  title: string | null;
  started_at: string;
  duration_seconds: number | null;
  participants: string[] | null;
  summary: string | null;
}

/** $1, $2 period, $3 vault or null, $4 limit */
const CALLS_OF_WEEK: Statement = {
  name: 'digest_calls',
  text: `select id, title, ${instantSql('started_at')} as started_at, duration_seconds, participants, left(summary, ${SUMMARY_CHARACTERS + 1}) as summary
    from bank.get_unified_recordings($1, $2, null, $3, null, null, $4) r order by r.started_at desc, r.id collate "C" desc`,
};

const IN_VAULT = 'archived_at is null and ($1::text is null or vault_id = $1)';

/** $1 vault or null, $2 limit */
const OPEN_TASKS: Statement = {
  name: 'digest_tasks',
  text: `select ${selectList(entity('task'), { cut: true })} from bank.tasks
    where ${IN_VAULT} and status in ('open', 'in_progress')
    order by due_at nulls last, array_position(array['urgent', 'high', 'normal', 'low'], priority::text), created_at, id limit $2`,
};

/** $1 vault or null, $2, $3 period, $4 limit. What changed again later stands where it was made, if that was in the period. */
const CHANGES_OF = ENTITIES.map((definition): [EntityDefinition, Statement] => [
  definition,
  {
    name: `digest_${definition.plural}`,
    text: `select ${selectList(definition, { cut: true })}, created_at >= $2 and created_at < $3 as "isNew"
      from bank.${definition.plural} where ${IN_VAULT} and updated_at >= $2
        and (updated_at < $3 or (created_at >= $2 and created_at < $3)) order by updated_at desc, id desc limit $4`,
  },
]);

export const weeklyDigest = definePrompt({
  name: 'weekly_digest',
  title: 'Weekly digest',
  description: "A week of a vault, or of all: its calls, what is open, what changed; with the bank's rows in it.",
  uses: ['get_transcript', 'get_recording', 'list_tasks'],
  input: z.strictObject({
    vault: z
      .string()
      .trim()
      .regex(VAULT_ID_PATTERN, { message: 'it must be a vault id, as list_vaults gives it' })
      .optional()
      .meta({ title: 'Vault', description: 'Id of the vault. Leave it out for all that you may see.' }),
    week: weekArgument,
    language: languageArgument,
  }),
  complete: { vault: completeVault, week: completeWeek, language: completeLanguage },
  async messages({ vault, week: asked, language }, { tx, bank, caller }) {
    await requireVault(tx, vault, 'vault');
    const now = caller.assertion.iat * 1000;
    const week = weekOf(asked, now);
    const parts = await Promise.all([
      callsPart(tx, week, vault ?? null, bank),
      tasksPart(tx, vault ?? null, bank),
      ...CHANGES_OF.map((kind) => changesPart(tx, kind, week, vault ?? null, bank)),
    ]);
    const about = `${vault === undefined ? 'all vaults that I may see' : `the vault "${vault}"`}, ${week.name}`;
    return [
      say(
        [
          `Write a digest of ${about}, from the material below. Today is ${new Date(now).toISOString().slice(0, 10)}.`,
          '',
          '1. Three to five highlights: what matters most and why.',
          '2. Calls: one or two sentences each, grouped where they belong together, with the id of each.',
          '3. Decisions and commitments, with who made them.',
          '4. Open tasks: those that are overdue first, then those due within the next seven days, then what has no date but a high priority.',
          '5. What changed in notes, comments and chats, where it says something new.',
          '6. What is likely to need attention next week.',
          '',
          `- Language: ${writeIn(language, 'the language that most of the calls are in')}.`,
          '- A summary may be missing or too thin: get_recording and get_transcript with its recordingId give more. list_tasks gives tasks that are cut off here.',
          '- Say nothing that the material does not bear out; leave out a part that has nothing in it.',
          '',
          MATERIAL_ONLY,
        ].join('\n'),
      ),
      say(`# ${about}\n\n${parts.filter((part) => part !== '').join('\n')}`),
    ];
  },
});

async function callsPart(tx: Transaction, week: Week, vault: string | null, bank: string): Promise<string> {
  const newestFirst = await tx.rows<CallRow>(CALLS_OF_WEEK, [week.from, week.to, vault, CALLS + 1]);
  const shown = newestFirst.slice(0, CALLS).reverse();
  return part(
    'Calls',
    shown.map((row) => callEntry(row, bank)),
    newestFirst.length > CALLS,
    'list_recordings',
  );
}

function callEntry(row: CallRow, bank: string): string {
  const people = row.participants ?? [];
  const more = people.length > SHOWN_PARTICIPANTS ? ` and ${people.length - SHOWN_PARTICIPANTS} more` : '';
  const summary = row.summary === null ? '(no summary)' : cut(oneLine(row.summary), SUMMARY_CHARACTERS);
  return `- ${row.started_at.slice(0, 16).replace('T', ' ')} ${row.title ?? '(no title)'}, ${formatDuration(row.duration_seconds)}, ${people.slice(0, SHOWN_PARTICIPANTS).join(', ')}${more}: ${resourceUri(bank, 'recordings', row.id)}\n  ${summary}`;
}

async function tasksPart(tx: Transaction, vault: string | null, bank: string): Promise<string> {
  const definition = entity('task');
  const rows = await tx.rows<Values>(OPEN_TASKS, [vault, TASKS + 1]);
  const lines = rows.slice(0, TASKS).map((row) => {
    const told = [
      ...(row.priority === 'normal' ? [] : [`priority ${row.priority}`]),
      ...(row.assignee === null ? [] : [`assignee ${row.assignee}`]),
    ];
    return `${lineOf(definition, toEntry(definition, row), bank)}${told.length === 0 ? '' : ` (${told.join(', ')})`}`;
  });
  return part('Open tasks, as of now', lines, rows.length > TASKS, 'list_tasks');
}

async function changesPart(
  tx: Transaction,
  [definition, statement]: [EntityDefinition, Statement],
  week: Week,
  vault: string | null,
  bank: string,
): Promise<string> {
  const rows = await tx.rows<Values>(statement, [vault, week.from, week.to, CHANGES + 1]);
  const lines = rows
    .slice(0, CHANGES)
    .map((row) => `${lineOf(definition, toEntry(definition, row), bank)}${row.isNew === true ? ' (new)' : ''}`);
  return part(`Changed ${nouns(definition)}`, lines, rows.length > CHANGES, `list_${definition.plural}`);
}

function part(title: string, lines: readonly string[], more: boolean, tool: string): string {
  if (lines.length === 0) return '';
  return `## ${title}\n\n${lines.join('\n')}\n${more ? `- (There are more: ${tool}.)\n` : ''}`;
}

function entity(name: string): EntityDefinition {
  const found = ENTITIES.find((definition) => definition.name === name);
  if (found === undefined) throw new Error(`There is no entity ${name}.`);
  return found;
}
