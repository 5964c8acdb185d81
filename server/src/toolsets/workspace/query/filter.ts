import { meantSubject } from '../../../subjects.ts';
import type { Condition, Scalar } from '../api.ts';
import type { FieldMap, QueryField, QueryType } from './fields.ts';
import { checkList, checkValue, shown, wrong } from './values.ts';

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

/** What a filter is checked against. */
export interface FilterContext {
  readonly fields: FieldMap;
  /** The caller's own: whom a subject without an issuer means. */
  readonly issuer: string;
  /** What the filter is called, for messages. */
  readonly path?: string;
  /** What the database calls a field, where that is not its name. */
  readonly refer?: (field: QueryField) => string;
}

/**
 * A filter tree as the database takes it: a condition on a null field is false, except `ne`, which is true, and `isNull`. So
 * NOT gives exactly the rows that the filter without it doesn't.
 *
 * A node is `{and: […]}`, `{or: […]}`, `{not: …}` or `{field, op, value}`. What is given is built anew: only fields of `fields`,
 * operators that they have, and values of their types are in it.
 *
 * @throws ToolError `invalid_argument` whose field is the path of the node that is wrong
 */
export function checkFilter(filter: unknown, context: FilterContext): Condition {
  return new Checker(context).node(filter, context.path ?? 'filter', 1);
}

class Checker {
  readonly #fields: FieldMap;
  readonly #issuer: string;
  readonly #refer: (field: QueryField) => string;
  #nodes = 0;

  constructor({ fields, issuer, refer = ({ name }) => name }: FilterContext) {
    this.#fields = fields;
    this.#issuer = issuer;
    this.#refer = refer;
  }

  node(node: unknown, path: string, depth: number): Condition {
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
    if (and !== undefined) return { and: this.#all(and, `${path}.and`, depth) };
    if (or !== undefined) return { or: this.#all(or, `${path}.or`, depth) };
    if (not !== undefined) return { not: this.node(not, `${path}.not`, depth + 1) };
    return this.#condition(rest, path);
  }

  #all(nodes: unknown, path: string, depth: number): Condition[] {
    if (!Array.isArray(nodes) || nodes.length === 0) {
      throw wrong(path, `${shown(nodes)} is no list of conditions.`, 'Send an array of at least one condition.');
    }
    return nodes.map((node, index) => this.node(node, `${path}[${index}]`, depth + 1));
  }

  #condition(condition: Record<string, unknown>, path: string): Condition {
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
    return { field: this.#refer(field), op: operator, value: this.#value(field, operator, value, `${path}.value`) };
  }

  #value(field: QueryField, operator: Operator, value: unknown, path: string): Scalar | Scalar[] {
    switch (operator) {
      case 'eq':
      case 'ne':
        return this.#meant(field, this.#one(field, value, path));
      case 'in':
        return checkList(field, value, path).map((entry) => this.#meant(field, entry));
      case 'hasAny':
      case 'hasAll':
        return checkList(field, value, path);
      case 'isEmpty':
      case 'isNull':
        if (typeof value !== 'boolean') throw wrong(path, `${shown(value)} is no answer to it.`, 'Send true or false.');
        return value;
      default:
        return this.#one(field, value, path);
    }
  }

  #one(field: QueryField, value: unknown, path: string): Scalar {
    if (value === null && field.nullable) {
      throw wrong(path, 'null is compared by an operator of its own.', 'Send {"op": "isNull", "value": true}.');
    }
    return checkValue(field, value, path);
  }

  #meant({ isSubject }: QueryField, value: Scalar): Scalar {
    return isSubject ? meantSubject(String(value), this.#issuer) : value;
  }
}

const NODE_FORMS =
  'A condition is {"field": …, "op": …, "value": …}, {"and": [conditions]}, {"or": [conditions]} or {"not": condition}.';

export function operatorsOf(field: QueryField): readonly Operator[] {
  return field.nullable ? [...OPERATORS[field.type], 'isNull'] : OPERATORS[field.type];
}
