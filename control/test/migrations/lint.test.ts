import { describe, expect, it } from 'vitest';
import { migrationFolder } from '../../../test/harness/migrations.ts';
import { lintPart, readParts } from '../../src/migrations/index.ts';

function lint(files: Record<string, string>): string[] {
  using folder = migrationFolder({
    'tenants/tables/0001_notes.sql': 'create table bank.notes (id int); create index notes_on_id on bank.notes (id)',
    ...files,
  });
  return readParts(folder.dir).flatMap(lintPart);
}

const second = (text: string) => ({ 'tenants/tables/0002_more.sql': text });
const OUTSIDE = '-- bankhouse: no transaction\n';

describe('a text is taken', () => {
  it.each<[string, Record<string, string>]>([
    ['that indexes the table it makes', second('create table bank.tasks (id int);\ncreate index on bank.tasks (id)')],
    [
      'that builds an index concurrently, outside a transaction',
      second(`${OUTSIDE}create index concurrently if not exists n on bank.notes (id)`),
    ],
    ['that drops an index concurrently', second(`${OUTSIDE}drop index concurrently if exists bank.n`)],
    [
      'that indexes a table which is small for sure',
      second('-- bankhouse: short lock, a row a bank\ncreate index on bank.notes (id)'),
    ],
    ['that adds a constraint for later', second('alter table bank.notes add constraint c check (id > 0) not valid')],
    ['that adds a constraint by an index', second('alter table bank.notes add constraint c unique using index n')],
    ['that adds a column', second('alter table bank.notes add column more text')],
    ['that drops what no server calls any more', second('-- bankhouse: contract 3\ndrop function bank.old(int)')],
    [
      'that only speaks of these things',
      second("-- drop table, create index concurrently\nselect 'commit; drop table x'"),
    ],
    [
      'of functions that replaces and comments',
      {
        'tenants/functions/a.sql':
          'create or replace function bank.f() returns int return 1; comment on function bank.f is $$drop$$; do $$ begin end $$',
      },
    ],
  ])('%s', (_sentence, files) => {
    expect(lint(files)).toEqual([]);
  });
});

describe('a text is refused', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    [
      'that indexes a table which is there',
      second('select 1;\ncreate index notes_by_person on bank.notes (id)'),
      /^tenants\/tables\/0002_more\.sql:2 builds an index on bank\.notes, which is there already/,
    ],
    [
      'that says concurrently in a transaction',
      second('create index concurrently if not exists n on bank.notes (id)'),
      /needs a file of its own/,
    ],
    [
      'that builds an index which can not be built again',
      second(`${OUTSIDE}create index concurrently n on bank.notes (id)`),
      /harmless when repeated/,
    ],
    [
      'that builds an index on a table of no schema',
      second(`${OUTSIDE}create index concurrently if not exists n on notes (id)`),
      /must name the table's schema/,
    ],
    [
      'that checks all rows at once',
      second('alter table bank.notes add constraint c check (id > 0)'),
      /checks all rows of bank\.notes/,
    ],
    [
      'that makes a key of all rows at once',
      second('alter table only bank.notes add primary key (id)'),
      /`using index` of one built concurrently/,
    ],
    ['that ends the transaction', second('select 1; commit'), /0002_more\.sql:1 ends or begins a transaction/],
    ['that drops a function', second('drop function bank.old(int)'), /says drop function, .* a release later/],
    ['that drops a column', second('alter table bank.notes drop column id'), /says drop column/],
    ['that renames a column', second('alter table bank.notes rename id to number'), /says rename/],
    [
      'of functions that drops one',
      {
        'tenants/functions/a.sql': 'create or replace function bank.f() returns int return 1;\ndrop function bank.g()',
      },
      /^tenants\/functions\/a\.sql:2 is not `create or replace`/,
    ],
    [
      'of functions that grants',
      { 'tenants/functions/a.sql': 'grant execute on function bank.f to bankhouse_bank' },
      /rights are for rights\.sql/,
    ],
    [
      'of functions that can not be replaced',
      { 'tenants/functions/a.sql': 'create function bank.f() returns int return 1' },
      /is not `create or replace`/,
    ],
  ])('%s', (_sentence, files, sentence) => {
    expect(lint(files)).toEqual([expect.stringMatching(sentence)]);
  });
});

describe('a folder is refused', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    [
      'with a number left out',
      { 'tenants/tables/0003_x.sql': '' },
      /0003_x\.sql can't be next: there is none of number 0002/,
    ],
    ['with a number given twice', { 'tenants/tables/0001_x.sql': '' }, /0001_x\.sql can't be next: there are two/],
    ['with a file that has no place there', { 'tenants/tables/notes.txt': '' }, /notes\.txt has no place there/],
    [
      'with a header that is not known',
      second('-- bankhouse: no transactions\n'),
      /0002_more\.sql begins with "-- bankhouse: no transactions"/,
    ],
  ])('%s', (_sentence, files, message) => {
    expect(() => lint(files)).toThrow(
      expect.objectContaining({ code: 'migrations_invalid', message: expect.stringMatching(message) }),
    );
  });
});
