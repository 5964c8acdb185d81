import type { z } from 'zod';
import { COMMON_FIELDS, type EntityDefinition, type Field } from '../../entities/index.ts';
import { toStart } from '../shared/when.ts';
import { instant, valueSchema } from './schemas.ts';

/** One argument of a list that narrows it. */
export interface Filter {
  readonly name: string;
  readonly schema: z.ZodType;
  /** @param parameter adds a parameter and gives its `$n` */
  condition(value: unknown, parameter: (value: unknown) => string): string;
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
  const { name, column, type } = field;
  switch (type) {
    case 'boolean':
    case 'enum':
      return [equal(field, (p) => `${column} = ${p}`)];
    case 'uuid':
      return [equal(field, (p) => `${column} = ${p}::uuid`)];
    case 'recordingId':
      return [call(field)];
    case 'text':
      if (name === definition.label) return [];
      // The id of a parent of any kind, which may be a call, is exact; a name is found in any case.
      return [
        definition.parent?.entity === 'any' && field.writable === 'create'
          ? call(field)
          : equal(field, (p) => `lower(${column}) = lower(${p})`),
      ];
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

function equal(field: Field, condition: (parameter: string) => string): Filter {
  return {
    name: field.name,
    schema: valueSchema(field).optional(),
    condition: (value, parameter) => condition(parameter(value)),
  };
}

/** The id of a call: a migrated one is found by the id that it had before, too. */
function call({ name, column, ...field }: Field): Filter {
  return {
    name,
    schema: valueSchema({ name, column, ...field }).optional(),
    condition: (value, parameter) => {
      const p = parameter(value);
      return String(value).startsWith('fathom-')
        ? `${column} = coalesce((select r.id from bank.get_recording(${p}) r), ${p})`
        : `${column} = ${p}`;
    },
  };
}

/** `tags` is narrowed by `tag`. */
function contains({ name, column, entryMax, description }: Field): Filter {
  return {
    name: name.replace(/s$/, ''),
    schema: valueSchema({ name, column, type: 'text', writable: 'never', max: entryMax ?? 50, description })
      .optional()
      .meta({ description: `One of ${name}.` }),
    condition: (value, parameter) => `${column} @> array[${parameter(value)}]::text[]`,
  };
}

/** `dueAt` is narrowed by `dueAfter` (that instant too) and `dueBefore` (that instant not). */
function bound({ name, column }: Field, side: 'After' | 'Before'): Filter {
  return {
    name: name.replace(/At$/, side),
    schema: instant.optional().meta({ description: `${name} ${side === 'After' ? 'at or after' : 'before'} this.` }),
    condition: (value, parameter) =>
      `${column} ${side === 'After' ? '>=' : '<'} ${parameter(toStart(String(value)))}::timestamptz`,
  };
}

/** null: in no vault. */
function inVault(field: Field): Filter {
  return {
    name: field.name,
    schema: valueSchema(field).nullish().meta({ description: 'null: in no vault.' }),
    condition: (value, parameter) =>
      value === null ? `${field.column} is null` : `${field.column} = ${parameter(value)}`,
  };
}
