import { meantName, meantValue } from '../../../mcp/vocabulary.ts';
import type { FieldMap, QueryField } from './fields.ts';
import { OPERATORS, type Operator } from './filter.ts';
import type { QueryInput } from './schema.ts';

type Json = Record<string, unknown>;

const NODE_NAMES = ['field', 'op', 'value', 'and', 'or', 'not'];
const OPERATOR_NAMES: readonly string[] = [...new Set(Object.values(OPERATORS).flat()), 'isNull'];
const SIGNS: Readonly<Record<string, Operator>> = {
  '=': 'eq',
  '==': 'eq',
  equals: 'eq',
  is: 'eq',
  '!=': 'ne',
  '<>': 'ne',
  neq: 'ne',
  '<': 'lt',
  before: 'lt',
  '<=': 'lte',
  '>': 'gt',
  after: 'gt',
  '>=': 'gte',
  like: 'contains',
  ilike: 'contains',
  includes: 'has',
  null: 'isNull',
};
const NUMBER = /^[+-]?\d+(\.\d+)?$/;

/**
 * A query as it was meant, where that is certain: other words for a field, signs for operators, numbers, booleans and enums as text, as
 * mcp/leniency.ts has it for what a JSON Schema says. What is not certain stays, for the checks to refuse it.
 */
export function asMeantQuery(input: QueryInput, fields: FieldMap): QueryInput {
  const rename = (name: string) => meantField(fields, name);
  const grouped = (input.groupBy?.length ?? 0) > 0 || (input.aggregate?.length ?? 0) > 0;
  return {
    ...input,
    ...(input.filter === undefined ? {} : { filter: nodeOf(input.filter, fields) }),
    ...(input.select === undefined ? {} : { select: input.select.map(rename) }),
    // Of groups it names columns of the answer.
    ...(input.sort === undefined || grouped
      ? {}
      : { sort: input.sort.map((key) => ({ ...key, field: rename(key.field) })) }),
    ...(input.groupBy === undefined
      ? {}
      : { groupBy: input.groupBy.map((group) => ({ ...group, field: rename(group.field) })) }),
    ...(input.aggregate === undefined
      ? {}
      : {
          aggregate: input.aggregate.map((one) =>
            one.field === undefined ? one : { ...one, field: rename(one.field) },
          ),
        }),
  };
}

function meantField(fields: FieldMap, name: string): string {
  return fields.has(name) ? name : (meantName(name, [...fields.keys()]) ?? name);
}

function nodeOf(node: unknown, fields: FieldMap): unknown {
  if (typeof node !== 'object' || node === null || Array.isArray(node)) return node;
  const named = renamed(node as Json);
  const { and, or, not, ...rest } = named;
  return {
    ...('field' in rest ? conditionOf(rest, fields) : rest),
    ...(and === undefined ? {} : { and: listOf(and, fields) }),
    ...(or === undefined ? {} : { or: listOf(or, fields) }),
    ...(not === undefined ? {} : { not: nodeOf(not, fields) }),
  };
}

function renamed(node: Json): Json {
  const entries = Object.entries(node).map(([name, value]): [string, unknown] => {
    const meant = NODE_NAMES.includes(name) ? name : meantName(name, NODE_NAMES);
    return [meant === undefined || (meant !== name && meant in node) ? name : meant, value];
  });
  return Object.fromEntries(entries);
}

function listOf(nodes: unknown, fields: FieldMap): unknown {
  return Array.isArray(nodes) ? nodes.map((node) => nodeOf(node, fields)) : nodes;
}

function conditionOf(condition: Json, fields: FieldMap): Json {
  const { field: name, op, value } = condition;
  const field = typeof name === 'string' ? fields.get(meantField(fields, name)) : undefined;
  if (field === undefined) return condition;
  const operator = typeof op === 'string' ? operatorOf(op) : op;
  const isQuestion = operator === 'isNull' || operator === 'isEmpty';
  const one = (given: unknown) => (isQuestion ? truthOf(given) : scalarOf(field, given));
  return {
    ...condition,
    field: field.name,
    ...('op' in condition ? { op: operator } : {}),
    ...('value' in condition ? { value: Array.isArray(value) ? value.map(one) : one(value) } : {}),
  };
}

function operatorOf(op: string): string {
  const word = op.trim().toLowerCase();
  if (OPERATOR_NAMES.includes(op)) return op;
  return (Object.hasOwn(SIGNS, word) ? SIGNS[word] : undefined) ?? meantValue(op, OPERATOR_NAMES) ?? op;
}

function scalarOf({ type, values }: QueryField, given: unknown): unknown {
  if (typeof given !== 'string') return given;
  switch (type) {
    case 'integer':
    case 'number':
      return NUMBER.test(given.trim()) ? Number(given) : given;
    case 'boolean':
      return truthOf(given);
    case 'enum':
      return values.includes(given) ? given : (meantValue(given, values) ?? given);
    default:
      return given;
  }
}

function truthOf(given: unknown): unknown {
  if (given === 'true') return true;
  return given === 'false' ? false : given;
}
