/** `query` against the model (R3.10): for each token the rows and sums that the model says, no more, no less. */
import fc from 'fast-check';
import { evaluate, type Places } from '../workspace-query/support.ts';
import { allPages, entry, type Move, type Played } from './answers.ts';
import type { Fields, Kind, Model } from './model.ts';
import { archived, counts, kind, token } from './steps.ts';

type Type = 'text' | 'longText' | 'boolean' | 'integer' | 'enum' | 'texts' | 'uuid' | 'key';
const OPERATORS: Readonly<Record<Type, readonly string[]>> = {
  text: ['eq', 'ne', 'in', 'contains', 'startsWith'],
  longText: ['eq', 'ne', 'contains', 'startsWith'],
  boolean: ['eq', 'ne'],
  integer: ['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte'],
  enum: ['eq', 'ne', 'in', 'lt', 'lte', 'gt', 'gte'],
  texts: ['has', 'hasAny', 'hasAll', 'isEmpty'],
  uuid: ['eq', 'ne', 'in'],
  key: ['eq', 'ne', 'in', 'startsWith'],
};

const COMMON: readonly [string, Type, 'nullable'?][] = [
  ['id', 'uuid'],
  ['version', 'integer'],
  ['status', 'enum'],
  ['vaultId', 'key', 'nullable'],
  ['createdBy', 'text'],
  ['updatedBy', 'text'],
  ['language', 'key', 'nullable'],
];
const FIELDS: Readonly<Record<Kind, readonly [string, Type, 'nullable'?][]>> = {
  note: [
    ...COMMON,
    ['title', 'text'],
    ['body', 'longText'],
    ['pinned', 'boolean'],
    ['tags', 'texts'],
    ['recordingId', 'key', 'nullable'],
  ],
  task: [
    ...COMMON,
    ['title', 'text'],
    ['description', 'longText'],
    ['priority', 'enum'],
    ['assignee', 'text', 'nullable'],
    ['tags', 'texts'],
    ['recordingId', 'key', 'nullable'],
  ],
  comment: [...COMMON, ['parentKind', 'enum'], ['parentId', 'text'], ['body', 'longText']],
  chat: [
    ...COMMON,
    ['title', 'text'],
    ['participants', 'texts'],
    ['tags', 'texts'],
    ['recordingId', 'key', 'nullable'],
  ],
  chat_message: [
    ...COMMON,
    ['chatId', 'uuid'],
    ['role', 'enum'],
    ['author', 'text', 'nullable'],
    ['body', 'longText'],
    ['replyTo', 'uuid', 'nullable'],
  ],
};
const STATUSES: Readonly<Record<Kind, readonly string[]>> = {
  note: ['draft', 'final'],
  task: ['open', 'in_progress', 'done', 'cancelled'],
  comment: ['open', 'resolved'],
  chat: ['open', 'closed'],
  chat_message: ['sent', 'pinned', 'redacted'],
};
const placesOf = (of: Kind): Places => ({
  status: STATUSES[of],
  priority: ['low', 'normal', 'high', 'urgent'],
  parentKind: ['recording', 'note', 'task', 'chat'],
  role: ['user', 'assistant', 'system'],
});

/** A condition or a tree of them, whose fields, operators and values are chosen when the rows are known. */
type Tree =
  | { readonly leaf: readonly [field: number, operator: number, value: number] }
  | { readonly join: 'and' | 'or'; readonly parts: readonly Tree[] }
  | { readonly not: Tree };

const tree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 2, depthIdentifier: 'filter' },
    fc.record({ leaf: fc.tuple(fc.nat(19), fc.nat(6), fc.nat(50)) }),
    fc.record({
      join: fc.constantFrom<'and' | 'or'>('and', 'or'),
      parts: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ not: tie('tree') }),
  ),
})).tree;

function filterOf(model: Model, of: Kind, drawn: Tree): unknown {
  if ('join' in drawn) return { [drawn.join]: drawn.parts.map((part) => filterOf(model, of, part)) };
  if ('not' in drawn) return { not: filterOf(model, of, drawn.not) };
  const [place, operator, n] = drawn.leaf;
  const fields = FIELDS[of];
  const [field, type, nullable] = fields[place % fields.length] ?? ['id', 'uuid'];
  const operators = [...OPERATORS[type], ...(nullable === undefined ? [] : ['isNull'])];
  const op = operators[operator % operators.length] ?? 'eq';
  return { field, op, value: chosenFrom(valuesOf(model, of, field, type), op, n) };
}

/** Values that rows have, of whatever vault: then filters fit some, and tempt to tell of others. */
function valuesOf(model: Model, of: Kind, field: string, type: Type): readonly unknown[] {
  const places = placesOf(of)[field];
  if (type === 'enum' && places !== undefined) return places;
  const rows = [...model.rows.values()].filter((row) => row.kind === of);
  const values = rows
    .flatMap((row) => entry(row)[field] as unknown)
    .filter((value) => value !== null && value !== undefined);
  const other = { integer: 1, boolean: true, uuid: '00000000-0000-4000-8000-0000000000ff' };
  return [...new Set([...values, type in other ? other[type as keyof typeof other] : 'one'])];
}

function chosenFrom(values: readonly unknown[], op: string, n: number): unknown {
  const at = (place: number) => values[place % values.length];
  if (op === 'isNull' || op === 'isEmpty') return n % 2 === 0;
  if (op === 'in' || op === 'hasAny' || op === 'hasAll') return [at(n), at(n + 1)];
  if (op === 'contains') return [...String(at(n))].slice(1, 4).join('').toUpperCase();
  if (op === 'startsWith') return [...String(at(n))].slice(0, 3).join('').toUpperCase();
  return at(n);
}

/** What is asked about the rows that fit, and how the answer is compared. */
interface Shape {
  readonly args: (of: Kind) => Fields;
  readonly expected: (fitting: readonly Fields[]) => unknown;
  readonly actual: (rows: readonly Fields[]) => unknown;
}
const AGGREGATE = [
  { function: 'count', as: 'n' },
  { function: 'sum', field: 'version', as: 'versions' },
];
const select = (of: Kind) => FIELDS[of].map(([name]) => name);
const same = (rows: readonly Fields[]) => rows;
const SHAPES: Readonly<Record<string, Shape>> = {
  rows: { args: (of) => ({ select: select(of), limit: 200 }), expected: same, actual: same },
  pages: { args: (of) => ({ select: select(of), limit: 4 }), expected: same, actual: same },
  total: { args: () => ({ aggregate: AGGREGATE }), expected: (fitting) => [totalOf(fitting)], actual: same },
  groups: {
    args: () => ({ aggregate: AGGREGATE, groupBy: [{ field: 'status' }, { field: 'vaultId' }] }),
    expected: (fitting) =>
      Object.fromEntries([...Map.groupBy(fitting, groupOf)].map(([name, members]) => [name, totalOf(members)])),
    actual: (rows) => Object.fromEntries(rows.map((row) => [groupOf(row), { n: row.n, versions: row.versions }])),
  },
};
const groupOf = ({ status, vaultId }: Fields) => `${String(status)} in ${String(vaultId)}`;

function totalOf(rows: readonly Fields[]): Fields {
  const versions = rows.reduce((sum, { version }) => sum + Number(version), 0);
  return { n: rows.length, versions: rows.length === 0 ? null : versions };
}

/** Rows in one page or many, or a sum of them, or of groups. */
export const query: fc.Arbitrary<Move> = fc
  .record({
    token,
    kind,
    filter: fc.option(tree, { freq: 6, nil: undefined }),
    archived,
    what: fc.constantFrom('rows', 'pages', 'total', 'groups'),
  })
  .map(({ token: who, kind: of, filter: drawn, archived: which, what }): Move => {
    return async (model, ask): Promise<Played> => {
      const shape = SHAPES[what] as Shape;
      const filter = drawn === undefined ? undefined : filterOf(model, of, drawn);
      const fitting = model
        .visible(who, of)
        .filter((row) => counts(row, which))
        .map((row) => Object.fromEntries(select(of).map((name) => [name, entry(row)[name]])))
        .filter((row) => filter === undefined || evaluate(filter, row, placesOf(of)));
      const args = {
        kind: of,
        archived: which,
        ...(filter === undefined ? {} : { filter }),
        ...shape.args(of),
      };
      const found = await allPages(ask, who, { name: 'query', args, list: 'rows' });
      return {
        said: `${who.name}: query ${JSON.stringify(args)}`,
        outcome: fitting.length === 0 ? 'query without rows' : `query of ${what}`,
        actual: Array.isArray(found) ? shape.actual(found) : found,
        expected: shape.expected(fitting),
      };
    };
  });
