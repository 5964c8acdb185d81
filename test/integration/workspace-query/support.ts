/** A bank with a known workspace, and the same rows in memory to compare with. */
import type pg from 'pg';
import { ISSUER, type TestPostgres } from '../../harness/postgres.ts';
import { asLoader } from '../server/support.ts';
import { micros } from '../workspace/support.ts';

/** A task as a tool names its fields. */
export interface Task {
  [field: string]: unknown;
  id: string;
  version: number;
  status: string;
  createdAt: string;
  createdBy: string;
  updatedAt: string;
  updatedBy: string;
  archivedAt: string | null;
  title: string;
  description: string;
  priority: string;
  dueAt: string | null;
  assignee: string | null;
  tags: string[];
  recordingId: string | null;
  vaultId: string | null;
  completedAt: string | null;
  language: string | null;
}

export const WORDS = [
  "O'Brien",
  '100%',
  'a_b',
  'back\\slash',
  'Ünïcode',
  'emoji 🦩',
  '"quoted"',
  'plain',
  'PLAIN text',
  "'; drop",
];
const PRIORITIES = ['low', 'normal', 'high', 'urgent'];
const STATUSES = ['open', 'in_progress', 'done', 'cancelled'];
const VAULTS = ['sales', 'support', null];

export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** Tasks with every kind of value in every combination that a small number reaches; `from` sets banks apart. */
export function makeTasks(amount: number, from = 0): Task[] {
  return Array.from({ length: amount }, (_, n) => {
    const at = (days: number, micros = 0) =>
      `${new Date(Date.UTC(2026, 0, 1, 9, 0) + days * 86_400_000).toISOString().slice(0, 19)}${micros === 0 ? '' : `.${String(micros).padStart(6, '0')}`}Z`;
    const status = STATUSES[n % 4] ?? 'open';
    return {
      id: uuid(from + n),
      version: 1 + (n % 5),
      status,
      // Twins of one instant, so that pages end between them.
      createdAt: at(Math.floor(n / 2), 123456),
      // As tools show it: a person of the tests' own issuer, or of another one.
      createdBy: n % 3 === 2 ? 'https://other.test user2' : `user${n % 3}`,
      updatedAt: at(n + 1),
      updatedBy: 'loader',
      archivedAt: n % 11 === 10 ? at(n + 2) : null,
      title: `${WORDS[n % WORDS.length]} ${Math.floor(n / 7)}`,
      description: n % 6 === 0 ? '' : `About ${WORDS[(n * 3) % WORDS.length]}`,
      priority: PRIORITIES[(n * 7) % 4] ?? 'low',
      dueAt: n % 3 === 0 ? null : at(n * 5, n % 2),
      assignee: n % 4 === 1 ? null : `person${n % 5}@example.com`,
      tags: WORDS.filter((_word, index) => (n >> index) % 2 === 1).slice(0, 3),
      recordingId: n % 9 === 8 ? `fathom-${n}` : null,
      vaultId: VAULTS[n % 3] ?? null,
      completedAt: status === 'done' ? at(n + 3) : null,
      language: n % 5 === 4 ? null : (['de', 'en', 'fr-CA'][n % 3] ?? null),
    };
  });
}

/** In the database a subject stands behind its issuer (D10). */
function stored(subject: string): string {
  return subject.includes(' ') ? subject : `${ISSUER} ${subject}`;
}

export async function insertTasks(postgres: TestPostgres, bank: string, tasks: readonly Task[]): Promise<void> {
  await asLoader(postgres, (client) =>
    client.query(
      `insert into bank.tasks (bank_id, id, vault_id, version, created_at, created_by, updated_at, updated_by, archived_at,
         status, title, description, priority, due_at, assignee, tags, recording_id, completed_at, language)
       select $1, (t ->> 'id')::uuid, t ->> 'vaultId', (t ->> 'version')::int, (t ->> 'createdAt')::timestamptz, t ->> 'createdBy',
              (t ->> 'updatedAt')::timestamptz, t ->> 'updatedBy', (t ->> 'archivedAt')::timestamptz, t ->> 'status',
              t ->> 'title', t ->> 'description', t ->> 'priority', (t ->> 'dueAt')::timestamptz, t ->> 'assignee',
              array(select jsonb_array_elements_text(t -> 'tags')), t ->> 'recordingId',
              (t ->> 'completedAt')::timestamptz, t ->> 'language'
         from jsonb_array_elements($2::jsonb) t`,
      [
        bank,
        JSON.stringify(
          tasks.map((task) => ({ ...task, createdBy: stored(task.createdBy), updatedBy: stored(task.updatedBy) })),
        ),
      ],
    ),
  );
}

type Row = Record<string, unknown>;

/** One row of an entity, with the columns that are given and plain values in all others; as the loader writes. */
export async function insertRow(client: pg.Client, table: string, bank: string, columns: Row): Promise<void> {
  const all: Row = { bank_id: bank, created_by: 'loader', updated_by: 'loader', ...columns };
  const names = Object.keys(all);
  await client.query(
    `insert into bank.${table} (${names.join(', ')}) values (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(all),
  );
}

/** Values of a field in the order in which they compare. */
export type Places = Readonly<Record<string, readonly string[]>>;
const TASK_PLACES: Places = { priority: PRIORITIES, status: STATUSES };

/** What the filter lets through, computed without a database. */
export function evaluate(filter: unknown, row: Row, places: Places = TASK_PLACES): boolean {
  const node = filter as { and?: unknown[]; or?: unknown[]; not?: unknown; field: string; op: string; value: unknown };
  if (node.and !== undefined) return node.and.every((part) => evaluate(part, row, places));
  if (node.or !== undefined) return node.or.some((part) => evaluate(part, row, places));
  if (node.not !== undefined) return !evaluate(node.not, row, places);
  const place = (value: unknown) => comparable(node.field, value, places);
  const actual = row[node.field];
  // A part of a subject is looked for in all of it.
  const isPart = SUBJECTS.has(node.field) && (node.op === 'contains' || node.op === 'startsWith');
  return test(node.op, isPart ? stored(String(actual)) : place(actual), node.value, place);
}

function test(op: string, actual: unknown, value: unknown, place: (value: unknown) => unknown): boolean {
  if (op === 'isNull') return (actual === null) === value;
  if (actual === null) return op === 'ne';
  const values = (Array.isArray(value) ? value : [value]).map(place);
  const [wanted] = values as [string & number];
  const entries = actual as (string | number)[];
  switch (op) {
    case 'eq':
      return actual === wanted;
    case 'ne':
      return actual !== wanted;
    case 'in':
      return values.includes(actual);
    case 'lt':
      return (actual as number) < wanted;
    case 'lte':
      return (actual as number) <= wanted;
    case 'gt':
      return (actual as number) > wanted;
    case 'gte':
      return (actual as number) >= wanted;
    case 'contains':
      return lowered(actual).includes(lowered(wanted));
    case 'startsWith':
      return lowered(actual).startsWith(lowered(wanted));
    case 'has':
      return entries.includes(wanted);
    case 'hasAny':
      return values.some((one) => entries.includes(one as string));
    case 'hasAll':
      return values.every((one) => entries.includes(one as string));
    case 'isEmpty':
      return (entries.length === 0) === value;
    default:
      throw new TypeError(op);
  }
}

/** Character by character, as Postgres does: İ is i there, and two characters for toLowerCase. */
function lowered(text: unknown): string {
  return [...String(text)].map((character) => [...character.toLowerCase()][0] ?? '').join('');
}

const SUBJECTS = new Set(['createdBy', 'updatedBy']);
const INSTANTS = new Set(['createdAt', 'updatedAt', 'archivedAt', 'dueAt', 'completedAt']);

/** Instants as microseconds, priorities and statuses as their places; all else as it is. */
export function comparable(field: string, value: unknown, places: Places = TASK_PLACES): unknown {
  if (typeof value !== 'string') return value;
  if (INSTANTS.has(field)) return micros(value);
  return places[field]?.indexOf(value) ?? value;
}
