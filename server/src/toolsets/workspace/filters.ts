import type { z } from 'zod';
import { COMMON_FIELDS, type EntityDefinition, type Field } from '../../entities/index.ts';
import { meantSubject } from '../../subjects.ts';
import { toStart } from '../shared/when.ts';
import type { Condition, Scalar } from './api.ts';
import { instant, valueSchema } from './schemas.ts';

/** One argument of a list that narrows it. */
export interface Filter {
  readonly name: string;
  readonly schema: z.ZodType;
  /** @param issuer the caller's own */
  condition(value: unknown, issuer: string): Condition;
}

/** What a list can be narrowed by: the definition's own fields, as far as equality or a period makes sense for them. */
export function filtersOf(definition: EntityDefinition): Filter[] {
  const status: Field = {
    name: 'status',
    column: 'status',
    type: 'enum',
    writable: 'never',
    values: definition.statuses,
    description: 'Status',
  };
  const common = COMMON_FIELDS.filter((field) => field.name === 'createdBy' || field.name === 'updatedAt');
  return [status, ...definition.fields, ...common].flatMap((field) => filtersFor(definition, field));
}

function filtersFor(definition: EntityDefinition, field: Field): Filter[] {
  const { name, type } = field;
  switch (type) {
    case 'boolean':
    case 'enum':
    case 'uuid':
      return [compared(field, (value) => ({ op: 'eq', value }))];
    case 'recordingId':
      return [call(field)];
    case 'text':
      if (name === definition.label) return [];
      // The id of a parent of any kind, which may be a call, is exact; a name is found in any case.
      return [
        definition.parent?.entity === 'any' && field.writable === 'create'
          ? call(field)
          : compared(field, (value) => ({ op: 'ieq', value })),
      ];
    case 'subject':
      return [compared(field, (value, issuer) => ({ op: 'ieq', value: meantSubject(String(value), issuer) }))];
    case 'texts':
      return [contains(field)];
    case 'instant':
      return name === 'updatedAt' ? [bound(field, 'After')] : [bound(field, 'After'), bound(field, 'Before')];
    case 'vaultId':
      return [inVault(field)];
    case 'longText':
    case 'integer':
    case 'language':
      return [];
  }
}

function compared(field: Field, test: (value: Scalar, issuer: string) => { op: string; value: Scalar }): Filter {
  return {
    name: field.name,
    schema: valueSchema(field).optional(),
    condition: (value, issuer) => ({ field: field.name, ...test(value as Scalar, issuer) }),
  };
}

/** The id of a call: a migrated one is found by the id that it had before, too. */
function call(field: Field): Filter {
  return compared(field, (value) => ({ op: String(value).startsWith('fathom-') ? 'call' : 'eq', value }));
}

/** `tags` is narrowed by `tag`. */
function contains({ name, column, entryMax, description }: Field): Filter {
  return {
    name: name.replace(/s$/, ''),
    schema: valueSchema({ name, column, type: 'text', writable: 'never', max: entryMax ?? 50, description })
      .optional()
      .meta({ description: `One of ${name}.` }),
    condition: (value) => ({ field: name, op: 'has', value: String(value) }),
  };
}

/** `dueAt` is narrowed by `dueAfter` (that instant too) and `dueBefore` (that instant not). */
function bound({ name }: Field, side: 'After' | 'Before'): Filter {
  return {
    name: name.replace(/At$/, side),
    schema: instant.optional().meta({ description: side === 'After' ? 'Or at it.' : 'Not at it.' }),
    condition: (value) => ({ field: name, op: side === 'After' ? 'gte' : 'lt', value: toStart(String(value)) }),
  };
}

/** null: in no vault. */
function inVault(field: Field): Filter {
  const { name } = field;
  return {
    name,
    schema: valueSchema(field).nullish().meta({ description: 'null: in no vault.' }),
    condition: (value) =>
      value === null ? { field: name, op: 'isNull', value: true } : { field: name, op: 'eq', value: String(value) },
  };
}
