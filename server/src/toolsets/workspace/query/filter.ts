import type { FieldMap, QueryField, QueryType } from './fields.ts';
import type { Parameters, SqlType } from './statement.ts';
import { checkList, checkValue, SQL_TYPES, shown, wrong } from './values.ts';

export const MAX_DEPTH = 8;
export const MAX_NODES = 100;

const EQUALITY = ['eq', 'ne'] as const;
const ORDER = ['lt', 'lte', 'gt', 'gte'] as const;

/** What a field of each type can be asked. `isNull` comes on top for a field that can be null. */
export const OPERATORS: Record<QueryType, readonly Operator[]> = {
  text: [...EQUALITY, 'in', 'contains', 'startsWith'],
  longText: [...EQUALITY, 'contains', 'startsWith'],
  boolean: EQUALITY,
  integer: [...EQUALITY, 'in', ...ORDER],
  number: [...EQUALITY, 'in', ...ORDER],
  instant: [...EQUALITY, 'in', ...ORDER],
  enum: [...EQUALITY, 'in', ...ORDER],
  texts: ['has', 'hasAny', 'hasAll', 'isEmpty'],
  uuid: [...EQUALITY, 'in'],
  key: [...EQUALITY, 'in', 'startsWith'],
};

export type Operator =
  | 'eq'
  | 'ne'
  | 'in'
  | 'lt'
  | 'lte'
  | 'gt'
  | 'gte'
  | 'contains'
  | 'startsWith'
  | 'has'
  | 'hasAny'
  | 'hasAll'
  | 'isEmpty'
  | 'isNull';

const SYMBOLS: Record<(typeof ORDER)[number], string> = { lt: '<', lte: '<=', gt: '>', gte: '>=' };

/**
 * A filter tree as an SQL condition that is true or false and never null: a condition on a null field is false, except `ne`,
 * which is true, and `isNull`. So NOT gives exactly the rows that the filter without it doesn't.
 *
 * A node is `{and: […]}`, `{or: […]}`, `{not: …}` or `{field, op, value}`. Fields come from `fields`, values go to `parameters`;
 * nothing of the filter becomes text.
 *
 * @param path what the filter is called, for messages
 * @throws ToolError `invalid_argument` whose field is the path of the node that is wrong
 */
export function compileFilter(filter: unknown, fields: FieldMap, parameters: Parameters, path = 'filter'): string {
  return new Compiler(fields, parameters).node(filter, path, 1);
}

class Compiler {
  readonly #fields: FieldMap;
  readonly #parameters: Parameters;
  #nodes = 0;

  constructor(fields: FieldMap, parameters: Parameters) {
    this.#fields = fields;
    this.#parameters = parameters;
  }

  node(node: unknown, path: string, depth: number): string {
    if (depth > MAX_DEPTH) {
      throw wrong(
        path,
        `The filter nests deeper than ${MAX_DEPTH}.`,
        'Send a flatter filter: and, or take many entries.',
      );
    }
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) {
      throw wrong(path, `The filter has more than ${MAX_NODES} nodes.`, 'Use in for many values of one field.');
    }
    if (typeof node !== 'object' || node === null || Array.isArray(node)) {
      throw wrong(path, `${shown(node)} is no condition.`, NODE_FORMS);
    }
    const { and, or, not, ...rest } = node as Record<string, unknown>;
    const given = [and, or, not, 'field' in rest ? rest : undefined].filter((part) => part !== undefined);
    if (given.length !== 1 || (given[0] !== rest && Object.keys(rest).length > 0)) {
      throw wrong(path, `${shown(node)} is not one condition.`, NODE_FORMS);
    }
    if (and !== undefined) return this.#join(and, `${path}.and`, depth, ' and ');
    if (or !== undefined) return this.#join(or, `${path}.or`, depth, ' or ');
    if (not !== undefined) return `not (${this.node(not, `${path}.not`, depth + 1)})`;
    return this.#condition(rest, path);
  }

  #join(nodes: unknown, path: string, depth: number, word: ' and ' | ' or '): string {
    if (!Array.isArray(nodes) || nodes.length === 0) {
      throw wrong(path, `${shown(nodes)} is no list of conditions.`, 'Send an array of at least one condition.');
    }
    return `(${nodes.map((node, index) => this.node(node, `${path}[${index}]`, depth + 1)).join(word)})`;
  }

  #condition(condition: Record<string, unknown>, path: string): string {
    const { field: name, op, value, ...others } = condition;
    const field = typeof name === 'string' ? this.#fields.get(name) : undefined;
    if (field === undefined) {
      throw wrong(
        `${path}.field`,
        `There is no field ${shown(name)} here.`,
        `Fields: ${[...this.#fields.keys()].join(', ')}.`,
      );
    }
    const allowed = operatorsOf(field);
    const operator = allowed.find((known) => known === op);
    if (operator === undefined) {
      throw wrong(
        `${path}.op`,
        `${field.name} can't be asked ${shown(op)}.`,
        `Operators of ${field.name}: ${allowed.join(', ')}.`,
      );
    }
    const [other] = Object.keys(others);
    if (other !== undefined) {
      throw wrong(path, `A condition has no ${shown(other)}.`, 'A condition is {field, op, value}.');
    }
    const test = this.#test(field, operator, value, `${path}.value`);
    return field.nullable && operator !== 'ne' && operator !== 'isNull'
      ? `(${test} and ${field.sql} is not null)`
      : test;
  }

  #test(field: QueryField, operator: Operator, value: unknown, path: string): string {
    const { sql } = field;
    switch (operator) {
      case 'eq':
        return `${sql} = ${this.#one(field, value, path)}`;
      case 'ne':
        return `${sql} is distinct from ${this.#one(field, value, path)}`;
      case 'in':
        return `${sql} = any (${this.#list(field, value, path)})`;
      case 'lt':
      case 'lte':
      case 'gt':
      case 'gte':
        return this.#compare(field, SYMBOLS[operator], value, path);
      case 'contains':
        return `${sql} ilike ${this.#pattern(field, value, path, '%')}`;
      case 'startsWith':
        return `${sql} ilike ${this.#pattern(field, value, path, '')}`;
      case 'has':
        return `${sql} @> array[${this.#one(field, value, path)}]`;
      case 'hasAny':
        return `${sql} && ${this.#list(field, value, path)}`;
      case 'hasAll':
        return `${sql} @> ${this.#list(field, value, path)}`;
      case 'isEmpty':
        return `(cardinality(${sql}) = 0) = ${this.#flag(value, path)}`;
      case 'isNull':
        return `(${sql} is null) = ${this.#flag(value, path)}`;
    }
  }

  #one(field: QueryField, value: unknown, path: string): string {
    return this.#parameters.add(this.#check(field, value, path), SQL_TYPES[field.type]);
  }

  #check(field: QueryField, value: unknown, path: string): string | number | boolean {
    if (value === null && field.nullable) {
      throw wrong(path, 'null is compared by an operator of its own.', 'Send {"op": "isNull", "value": true}.');
    }
    return checkValue(field, value, path);
  }

  #list(field: QueryField, value: unknown, path: string): string {
    return this.#parameters.add(checkList(field, value, path), `${SQL_TYPES[field.type]}[]` as SqlType);
  }

  /** Enums compare in the order of their values: low < normal < high. */
  #compare(field: QueryField, symbol: string, value: unknown, path: string): string {
    const checked = this.#check(field, value, path);
    if (field.type !== 'enum') return `${field.sql} ${symbol} ${this.#parameters.add(checked, SQL_TYPES[field.type])}`;
    const place = this.#parameters.add(field.values.indexOf(String(checked)) + 1, 'int4');
    return `${enumPlace(field, this.#parameters)} ${symbol} ${place}`;
  }

  /** In any case; what LIKE takes for syntax stands for itself. */
  #pattern(field: QueryField, value: unknown, path: string, before: '%' | ''): string {
    const text = this.#check(field, value, path);
    return this.#parameters.add(`${before}${String(text).replace(/[\\%_]/g, '\\$&')}%`, 'text');
  }

  #flag(value: unknown, path: string): string {
    if (typeof value !== 'boolean') throw wrong(path, `${shown(value)} is no answer to it.`, 'Send true or false.');
    return this.#parameters.add(value, 'boolean');
  }
}

const NODE_FORMS =
  'A condition is {"field": …, "op": …, "value": …}, {"and": [conditions]}, {"or": [conditions]} or {"not": condition}.';

export function operatorsOf(field: QueryField): readonly Operator[] {
  return field.nullable ? [...OPERATORS[field.type], 'isNull'] : OPERATORS[field.type];
}

/** The place of an enum's value among its values, from 1. */
export function enumPlace(field: QueryField, parameters: Parameters): string {
  return `array_position(${parameters.add(field.values, 'text[]')}, ${field.sql}::text)`;
}
