import { VAULT_ID_PATTERN } from '@bankhouse/core';
import { z } from 'zod';
import { statement } from '../../../database/statement.ts';
import type { Transaction } from '../../../database/transaction.ts';
import { ENTITIES, type EntityDefinition } from '../../../entities/index.ts';
import { definePrompt } from '../../../mcp/toolset.ts';
import { completeVault, formatDuration, MATERIAL_ONLY, say } from '../../recordings/index.ts';
import { completeLanguage, languageArgument, writeIn } from '../../shared/languages.ts';
import { resourceUri } from '../../shared/uris.ts';
import { requireVault } from '../../shared/vaults.ts';
import { instantSql } from '../../shared/when.ts';
import { cut, oneLine } from '../../shared/words.ts';
import { type Condition, readRows } from '../api.ts';
import { lineOf } from '../markdown.ts';
import { fieldNames, nouns, SHOWN_CHARACTERS, toEntry } from '../rows.ts';
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
const CALLS_OF_WEEK = statement({
  name: 'digest_calls',
  text: `select id, title, ${instantSql('started_at')} as started_at, duration_seconds, participants, left(summary, ${SUMMARY_CHARACTERS + 1}) as summary
    from api.get_unified_recordings($1, $2, null, $3, null, null, $4) r order by r.started_at desc, r.id collate "C" desc`,
});

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
    const reader: Reader = { tx, bank, issuer: caller.assertion.iss, vault };
    const parts = await Promise.all([
      callsPart(reader, week),
      tasksPart(reader),
      ...ENTITIES.map((definition) => changesPart(reader, definition, week)),
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
          '- A summary may be missing or too thin: get_recording and get_transcript with its id give more. list_tasks gives tasks that are cut off here.',
          '- Say nothing that the material does not bear out; leave out a part that has nothing in it.',
          '',
          MATERIAL_ONLY,
        ].join('\n'),
      ),
      say(`# ${about}\n\n${parts.filter((part) => part !== '').join('\n')}`),
    ];
  },
});

/** Who reads what. */
interface Reader {
  readonly tx: Transaction;
  readonly bank: string;
  readonly issuer: string;
  /** Undefined: all that the caller may see. */
  readonly vault: string | undefined;
}

async function callsPart({ tx, bank, vault }: Reader, week: Week): Promise<string> {
  const newestFirst = await tx.rows<CallRow>(CALLS_OF_WEEK, [week.from, week.to, vault ?? null, CALLS + 1]);
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

async function tasksPart({ tx, bank, issuer, vault }: Reader): Promise<string> {
  const definition = entity('task');
  const found = await readRows(tx, definition.name, {
    fields: fieldNames(definition),
    cut: SHOWN_CHARACTERS,
    filter: { and: [...inVault(vault), { field: 'status', op: 'in', value: ['open', 'in_progress'] }] },
    archived: 'exclude',
    sort: [
      { field: 'dueAt', direction: 'asc' },
      { field: 'priority', direction: 'desc' },
      { field: 'createdAt', direction: 'asc' },
    ],
    limit: TASKS + 1,
  });
  const lines = found.slice(0, TASKS).map(({ row }) => {
    const told = [
      ...(row.priority === 'normal' ? [] : [`priority ${row.priority}`]),
      ...(row.assignee === null ? [] : [`assignee ${row.assignee}`]),
    ];
    return `${lineOf(definition, toEntry(definition, row, issuer), bank)}${told.length === 0 ? '' : ` (${told.join(', ')})`}`;
  });
  return part('Open tasks, as of now', lines, found.length > TASKS, 'list_tasks');
}

/** What changed again later stands where it was made, if that was in the week. */
async function changesPart(
  { tx, bank, issuer, vault }: Reader,
  definition: EntityDefinition,
  { from, to }: Week,
): Promise<string> {
  const madeThen = within('createdAt', from, to);
  const found = await readRows(tx, definition.name, {
    fields: fieldNames(definition),
    cut: SHOWN_CHARACTERS,
    filter: {
      and: [
        ...inVault(vault),
        { field: 'updatedAt', op: 'gte', value: from },
        { or: [{ field: 'updatedAt', op: 'lt', value: to }, madeThen] },
      ],
    },
    archived: 'exclude',
    sort: [{ field: 'updatedAt', direction: 'desc' }],
    limit: CHANGES + 1,
  });
  const lines = found.slice(0, CHANGES).map(({ row }) => {
    const madeAt = Date.parse(String(row.createdAt));
    const isNew = madeAt >= Date.parse(from) && madeAt < Date.parse(to);
    return `${lineOf(definition, toEntry(definition, row, issuer), bank)}${isNew ? ' (new)' : ''}`;
  });
  return part(`Changed ${nouns(definition)}`, lines, found.length > CHANGES, `list_${definition.plural}`);
}

function inVault(vault: string | undefined): Condition[] {
  return vault === undefined ? [] : [{ field: 'vaultId', op: 'eq', value: vault }];
}

/** [from, to) */
function within(field: string, from: string, to: string): Condition {
  return {
    and: [
      { field, op: 'gte', value: from },
      { field, op: 'lt', value: to },
    ],
  };
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
