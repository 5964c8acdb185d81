import { describe, expect, it } from 'vitest';
import { statementsOf } from '../../src/migrations/text.ts';

describe('a text of SQL falls into statements', () => {
  it.each<[string, string, string[]]>([
    ['at semicolons', 'select 1; SELECT\n  2 ;', ['select 1', 'select 2']],
    ['but not at those in words', "select 'a;b', e'c\\';d', 'e'';f'; select 2", ['select , ,', 'select 2']],
    ['nor in names', 'select "a;b"; select 2', ['select "a;b"', 'select 2']],
    ['nor in comments', 'select 1 -- one; more\n; /* a; /* b; */ c; */ select 2', ['select 1', 'select 2']],
    ['nor between dollars', 'do $$ a; $b$ c; $$; do $b$ d; $$ e; $b$;', ['do', 'do']],
    [
      'where a dollar in a name is a letter',
      'select a$b$ from c; select $1; select d$b$',
      ['select a$b$ from c', 'select $1', 'select d$b$'],
    ],
    ["where a date's words are no escape string", "select date'2026-01-01\\'; select 2", ['select date', 'select 2']],
    [
      'nor in a body of standard SQL',
      'create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3',
      ['create function f() returns int begin atomic select case when true then 1 end; select 2; end', 'select 3'],
    ],
    ['none where there are only comments', '-- nothing\n;;/* */', []],
  ])('%s', (_sentence, text, expected) => {
    expect(statementsOf(text).map(({ code }) => code.replace(/ +([,;])/g, '$1'))).toEqual(
      expected.map((code) => code.replace(/ +([,;])/g, '$1')),
    );
  });

  it('that keep their text, and know where they stand', () => {
    expect(statementsOf("-- a comment\nselect 'One';\n\n  select\n 2;\n")).toMatchObject([
      { text: "select 'One'", line: 2 },
      { text: 'select\n 2', line: 4 },
    ]);
  });
});
