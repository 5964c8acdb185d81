import { describe, expect, it } from 'vitest';
import type { MigrationErrorCode } from '../../src/migrations/errors.ts';
import type { Part } from '../../src/migrations/files.ts';
import { type Applied, planFor } from '../../src/migrations/plan.ts';

/** A release of generation `generation`: tables 0001, 0002 … with these checksums, one file of functions, rights. */
function release(
  generation: number,
  tables: string,
  functions: Record<string, string> = { calls: 'f' },
  rights = 'r',
): Part {
  return {
    name: 'tenants',
    tables: [...tables].map((checksum, index) => ({
      number: index + 1,
      name: `000${index + 1}_x.sql`,
      text: '',
      checksum,
      transaction: true,
      oldestGeneration: undefined,
    })),
    functions: Object.entries(functions).map(([name, checksum]) => ({ name, text: '', checksum })),
    rights: { name: 'rights.sql', text: '', checksum: rights },
    generation,
  };
}

/** What is written down once a release was applied to an empty database. */
function recordOf(part: Part): Applied[] {
  const row = (kind: Applied['kind'], { name, checksum }: { name: string; checksum: string }): Applied => ({
    kind,
    name,
    checksum,
    generation: part.generation,
    oldestGeneration: null,
  });
  return [
    ...part.tables.map((file) => row('table', file)),
    ...part.functions.map((file) => row('function', file)),
    row('rights', part.rights),
  ];
}

const due = (record: Applied[]) => record.map((row) => (row.kind === 'rights' ? { ...row, checksum: '' } : row));

describe('what is to be done', () => {
  const ONE = release(1, 'ab');
  it.each<[string, Part, Applied[], { tables: number[]; functions?: string[]; gone?: string[]; newer?: number }]>([
    ['all, to an empty database', ONE, [], { tables: [1, 2], functions: ['calls'] }],
    ['nothing, where it was done', ONE, recordOf(ONE), { tables: [] }],
    ['new tables, and the rights behind them', release(2, 'abc'), recordOf(ONE), { tables: [3], functions: [] }],
    ['functions that changed', release(2, 'ab', { calls: 'g' }), recordOf(ONE), { tables: [], functions: ['calls'] }],
    [
      'functions that changed before a commit',
      release(1, 'ab', { calls: 'g' }),
      recordOf(ONE),
      { tables: [], functions: ['calls'] },
    ],
    [
      'a file of functions that is new',
      release(2, 'ab', { calls: 'f', live: 'l' }),
      recordOf(ONE),
      { tables: [], functions: ['live'] },
    ],
    [
      'a file of functions that is gone',
      release(2, 'ab', {}),
      recordOf(ONE),
      { tables: [], functions: [], gone: ['calls'] },
    ],
    ['rights that changed', release(2, 'ab', { calls: 'f' }, 's'), recordOf(ONE), { tables: [], functions: [] }],
    ['rights that a run did not come to', ONE, due(recordOf(ONE)), { tables: [], functions: [] }],
    ['a generation to write down', release(2, 'ab'), recordOf(ONE), { tables: [], functions: [] }],
    ['nothing, where a newer release was', ONE, recordOf(release(2, 'abc', { calls: 'g' })), { tables: [], newer: 2 }],
    [
      'nothing, where a newer release changed functions alone',
      ONE,
      recordOf(release(2, 'ab', { calls: 'g' })),
      { tables: [], newer: 2 },
    ],
    [
      'nothing, where a newer release changed rights alone',
      ONE,
      due(recordOf(release(2, 'ab'))),
      { tables: [], newer: 2 },
    ],
    [
      'our functions, where a newer release failed before it came to its own',
      release(2, 'abc', { calls: 'g' }),
      [...due(recordOf(ONE)), ...recordOf(release(3, 'abcd')).filter(({ name }) => /^000[34]/.test(name))],
      { tables: [], functions: ['calls'], newer: 3 },
    ],
  ])('is %s', (_sentence, part, record, expected) => {
    const { tables, functions, newer } = planFor(part, record);
    expect({
      tables: tables.map(({ number }) => number),
      functions: functions?.files.map(({ name }) => name),
      gone: functions?.gone ?? [],
      newer,
    }).toEqual({ functions: undefined, gone: [], newer: undefined, ...expected });
  });
});

describe('what is refused', () => {
  const contracted = recordOf(release(3, 'abc')).map((row) =>
    row.name === '0003_x.sql' ? { ...row, oldestGeneration: 2 } : row,
  );
  it.each<[string, Part, Applied[], MigrationErrorCode, RegExp]>([
    [
      'a text that changed',
      release(2, 'aB'),
      recordOf(release(1, 'ab')),
      'migration_changed',
      /0002_x\.sql was applied with another text/,
    ],
    [
      'a file that we lack, though it is no newer than ours',
      release(2, 'ab'),
      recordOf(release(1, 'ab')).map((row) => ({ ...row, name: row.name.replace('0002_x', '0002_y') })),
      'migration_missing',
      /0002_y\.sql was applied .* does not have it/,
    ],
    [
      'a file that was passed over',
      release(2, 'abc'),
      recordOf(release(2, 'abc')).filter(({ name }) => name !== '0002_x.sql'),
      'migration_gap',
      /0002_x\.sql was never applied/,
    ],
    [
      'a release from before the schema was contracted',
      release(1, 'ab'),
      contracted,
      'schema_too_new',
      /generation 2 or newer, and this one is of generation 1/,
    ],
  ])('%s', (_sentence, part, record, code, message) => {
    expect(() => planFor(part, record)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('but not the last release that works with the contracted schema', () => {
    expect(planFor(release(2, 'ab'), contracted)).toMatchObject({ tables: [], functions: undefined, newer: 3 });
  });
});
