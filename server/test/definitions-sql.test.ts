/** What the database is told about kinds and fields. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ENTITIES, KINDS } from '../src/entities/index.ts';
import { definitionsSql, rowsSql } from '../src/entities/sql.ts';

const sql = definitionsSql(KINDS);
const told = new Map(
  [...sql.matchAll(/when '(\w+)' then '(.*?)'::jsonb/gs)].map(([, kind, json = '']) => [
    kind,
    JSON.parse(json.replaceAll("''", "'")),
  ]),
);

describe('the whitelist', () => {
  it.each([
    ['definitions.sql', sql],
    ['rows_as_json.sql', rowsSql(KINDS)],
  ])('is in the migrations as the definitions say: %s', (name, text) => {
    const file = new URL(`../../migrations/tenants/functions/${name}`, import.meta.url);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it.each(ENTITIES)('knows every field and action of a $name', (definition) => {
    const kind = told.get(definition.name);
    expect(kind).toMatchObject({ table: definition.plural, archive: true, children: definition.children });
    for (const { name, stored = name, column, writable } of definition.fields) {
      expect(kind.fields[stored]).toMatchObject({ column, writable });
    }
    for (const [action, { from, to, sets = {} }] of Object.entries(definition.actions)) {
      expect(kind.actions[action]).toEqual({ from, to, sets });
    }
  });

  it('lets nobody set what the database itself decides', () => {
    for (const { name } of ENTITIES) {
      for (const field of [
        'id',
        'version',
        'status',
        'createdAt',
        'createdBy',
        'updatedAt',
        'updatedBy',
        'archivedAt',
      ]) {
        expect(told.get(name).fields[field].writable).toBe('never');
      }
    }
  });

  it('has nothing of recordings that can be written', () => {
    const recording = told.get('recording');
    expect(recording).toMatchObject({ table: null, archive: false, actions: {} });
    expect(Object.values<{ writable: string }>(recording.fields).every(({ writable }) => writable === 'never')).toBe(
      true,
    );
  });

  it('has a line for each field', () => {
    const fields = KINDS.flatMap((kind) => kind.fields);
    expect(sql.match(/^ {6}"\w+":\{"column":/gm)).toHaveLength(fields.length);
  });
});
