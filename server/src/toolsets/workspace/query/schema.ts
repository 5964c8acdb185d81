import { z } from 'zod';
import { COMMON_FIELDS } from '../../../entities/index.ts';
import { KINDS } from '../../shared/kinds.ts';
import { BUCKETS, FUNCTIONS } from './aggregate.ts';
import { describeFields, QUERYABLES } from './fields.ts';
import { MAX_DEPTH, MAX_NODES, OPERATORS } from './filter.ts';
import { CUT_AT, MAX_CURSOR } from './rows.ts';

export const MAX_ROWS = 200;
export const MAX_GROUPS = 1000;
const DEFAULT_LIMIT = 50;

const OPERATOR_NAMES = [...new Set([...Object.values(OPERATORS).flat(), 'isNull'])];
/** Every kind but recording has them, all alike. */
const common = new Set([
  ...COMMON_FIELDS.map(({ name }) => name).filter((name) => name !== 'status'),
  'vaultId',
  'language',
]);
const own = [...QUERYABLES.values()].map(({ kind, fields, hasArchive }) => {
  const shown = [...fields.values()].filter(({ name }) => !hasArchive || !common.has(name));
  return `${kind}: ${describeFields(shown)}.`;
});
const sharedFields = [...(QUERYABLES.get('note')?.fields.values() ?? [])].filter(({ name }) => common.has(name));

/** Beside the argument that it is about: makers of models take 1024 characters of a tool's own description. */
const FIELD_GUIDE = [`Fields of every kind but recording: ${describeFields(sharedFields)}.`, ...own].join('\n');
export const OPERATOR_GUIDE =
  'Operators: text eq, ne, in, contains, startsWith (both in any case); long text all of these but in; id eq, ne, in, startsWith; uuid eq, ne, in; boolean eq, ne; numbers, instants and enums (in the order given) eq, ne, in, lt, lte, gt, gte; texts has, hasAny, hasAll, isEmpty; what can be null isNull.';
const fieldName = z.string().max(64);
/** A column's name in the answer. */
const alias = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,39}$/, { message: 'it must be a name of letters, digits and _, at most 40' })
  .optional()
  .meta({ description: 'Name of the column in the answer.' });

const CONDITION = {
  field: { type: 'string', description: 'Name of a field.' },
  op: { type: 'string', enum: OPERATOR_NAMES },
  value: { description: 'A value of the field; an array for in, hasAny, hasAll; a boolean for isNull, isEmpty.' },
};
/** Makers of models refuse an object that says no properties, be they none. */
const NODE = { type: 'object', properties: {} };
const DEEPER = { type: 'array', items: NODE };
const INNER = {
  type: 'object',
  properties: {
    field: { type: 'string' },
    op: { type: 'string' },
    value: {},
    and: DEEPER,
    or: DEEPER,
    not: NODE,
  },
};

/** What is no object is JSON as text, or nothing that could be meant. */
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
const NO_OBJECT = { message: 'it must be a condition such as {"field": "status", "op": "eq", "value": "open"}' };

/**
 * The filter as models see it: two levels written out and what is below said to be alike. A recursive schema would be exact, but
 * clients drop tools, or the whole list, over `$ref` (ADR 11). What comes is checked by checkFilter, whose errors name the
 * node; so zod takes anything.
 */
const filter = z
  .unknown()
  .refine(isObject, NO_OBJECT)
  .meta({
    description: `Which rows: {field, op, value}, {and: […]}, {or: […]} or {not: …}, at most ${MAX_DEPTH} deep and ${MAX_NODES} nodes. Left out: all. A condition on a field that is null is false, but ne is true.`,
    type: 'object',
    properties: {
      ...CONDITION,
      and: { type: 'array', items: INNER, description: 'All of them; what is in them is built like this.' },
      or: { ...DEEPER, description: 'Any of them.' },
      not: { ...NODE, description: 'All rows but these.' },
    },
    examples: [
      {
        and: [
          { field: 'status', op: 'in', value: ['open', 'in_progress'] },
          {
            or: [
              { field: 'dueAt', op: 'lt', value: '2026-06-01' },
              { field: 'tags', op: 'has', value: 'renewal' },
            ],
          },
          { not: { field: 'assignee', op: 'isNull', value: true } },
        ],
      },
    ],
  });

const having = z
  .unknown()
  .refine(isObject, NO_OBJECT)
  .meta({
    description: 'Which groups, built like filter, over the columns of aggregate.',
    ...NODE,
    examples: [{ field: 'count', op: 'gte', value: 2 }],
  });

export const queryInput = z.strictObject({
  kind: z.enum(KINDS).meta({ description: `What to look through.\n${FIELD_GUIDE}` }),
  filter: filter.optional(),
  archived: z
    .enum(['exclude', 'include', 'only'])
    .default('exclude')
    .meta({ description: 'Whether archived rows count.' }),
  select: z
    .array(fieldName)
    .min(1)
    .max(40)
    .optional()
    .meta({
      description: `Fields of the rows. Left out: all but long texts, of which rows give ${CUT_AT} characters.`,
    }),
  sort: z
    .array(
      z.strictObject({
        field: fieldName.meta({ description: 'A field, or a column of the answer when rows are grouped.' }),
        direction: z.enum(['asc', 'desc']).default('asc').meta({ description: 'Null comes last either way.' }),
      }),
    )
    .min(1)
    .max(4)
    .optional()
    .meta({ description: 'First key first. Left out: newest first; groups by their names.' }),
  groupBy: z
    .array(
      z.strictObject({
        field: fieldName.meta({ description: 'A field. A list has its row in the group of each entry.' }),
        bucket: z.enum(BUCKETS).optional().meta({
          description: 'Of an instant: the period that it is in, given as its first day. Weeks begin on Monday.',
        }),
        as: alias,
      }),
    )
    .max(4)
    .optional()
    .meta({ description: 'Answers one row a group instead of rows.' }),
  aggregate: z
    .array(
      z.strictObject({
        function: z.enum(FUNCTIONS),
        field: fieldName
          .optional()
          .meta({ description: 'Not needed by count; with it, count counts what is not null.' }),
        as: alias,
      }),
    )
    .max(10)
    .optional()
    .meta({ description: 'What to compute of each group, or of all rows. Left out with groupBy: count.' }),
  having: having.optional(),
  timeZone: z
    .string()
    .max(64)
    .default('UTC')
    .meta({ description: 'IANA name of the time zone of buckets.', examples: ['Europe/Berlin'] }),
  cursor: z.string().min(1).max(MAX_CURSOR).optional().meta({
    description: 'nextCursor of the page before; groups have one page.',
  }),
  limit: z
    .int()
    .min(1)
    .max(MAX_GROUPS)
    .default(DEFAULT_LIMIT)
    .meta({ description: `Rows a page, at most ${MAX_ROWS}, or groups, at most ${MAX_GROUPS}.` }),
});
export type QueryInput = z.infer<typeof queryInput>;

export const queryOutput = z.object({
  rows: z
    .array(z.record(z.string(), z.unknown()))
    .meta({ description: 'Rows, or groups with what was computed of each.' }),
  nextCursor: z
    .string()
    .optional()
    .meta({ description: 'Send it as cursor for the next page. Absent: the last page.' }),
  truncated: z.boolean().optional().meta({ description: 'Of groups: there are more than limit.' }),
});
