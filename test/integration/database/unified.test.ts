/** R1.2: one view of the old table and the new equals counting both by hand; pages and searches hold every call once; indexes serve. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestBank } from '../../harness/postgres.ts';
import { withClient } from '../../harness/postgres.ts';
import { addLegacy, addRecording, asData, type Fixture, rowsAs, startFixture, VAULTS } from './support.ts';

/** Calls that are counted here, in the test, and not by SQL. */
interface Call {
  key: string;
  startedAt: string;
  vaults: string[];
  participants: string[];
  words: string;
}

const TOTAL = 1_002;
let fixture: Fixture;
let bank: TestBank;
let calls: Call[];

beforeAll(async () => {
  fixture = await startFixture();
  bank = fixture.a;
  calls = await asData(fixture.postgres, async (sql) => {
    const made: Call[] = [];
    for (let index = 0; index < TOTAL; index++) {
      const vault = VAULTS[index % VAULTS.length]?.id ?? '';
      const inNoVault = index % 7 === 0;
      // Several calls share their minute, so that the order within it matters.
      const startedAt = new Date(Date.UTC(2024, 0, 1) + Math.floor(index / 4) * 86_400_000).toISOString();
      const participants = [`Person.${index % 10}@x.example`];
      const words = `common ${index % 5 === 0 ? 'fifth' : 'other'} unique${index} follow-up`;
      const call = { startedAt, participants, words };
      const kind = (['legacy', 'migrated', 'new'] as const)[Math.floor(index / 3) % 3];
      if (kind !== 'new') await addLegacy(sql, bank.id, { ...call, id: index + 1, vault: inNoVault ? null : vault });
      if (kind === 'legacy') {
        made.push({ ...call, key: `fathom-${index + 1}`, vaults: inNoVault ? [] : [vault] });
        continue;
      }
      const other = VAULTS[(index + 1) % VAULTS.length]?.id ?? '';
      const vaults = index % 4 === 0 ? [vault, other] : [other];
      const legacyId = kind === 'migrated' ? { legacyId: index + 1 } : {};
      made.push({
        ...call,
        key: await addRecording(sql, bank.id, { ...call, ...legacyId, title: `new ${index}`, vaults }),
        vaults,
      });
    }
    return made;
  });
  await withClient(fixture.postgres.ownerUrl, (sql) => sql.query('vacuum analyze'));
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

const newestFirst = (list: readonly Call[]) =>
  list
    .toSorted((a, b) => (a.startedAt === b.startedAt ? (a.key < b.key ? 1 : -1) : a.startedAt < b.startedAt ? 1 : -1))
    .map((call) => call.key);

const SCOPES: (string[] | null)[] = [null, ['sales'], ['hr', 'support']];
/** The calls that a caller may see, as it sees them: without vaults that it may not know of. */
const seenBy = (scope: readonly string[] | null) =>
  scope === null
    ? calls
    : calls
        .map((call) => ({ ...call, vaults: call.vaults.filter((vault) => scope.includes(vault)) }))
        .filter((call) => call.vaults.length > 0);

/** Filters as named arguments, and what they mean. */
const FILTERS: [string, string, (call: Call) => boolean][] = [
  ['no filter', '', () => true],
  [
    'a period',
    "p_from => '2024-03-01', p_to => '2024-05-01'",
    (c) => c.startedAt >= '2024-03-01' && c.startedAt < '2024-05-01',
  ],
  ['from', "p_from => '2024-06-01'", (c) => c.startedAt >= '2024-06-01'],
  ['to', "p_to => '2024-02-01'", (c) => c.startedAt < '2024-02-01'],
  [
    'a participant, in any case',
    "p_participant => 'PERSON.3@x.example'",
    (c) => c.participants.includes('Person.3@x.example'),
  ],
  ['a vault', "p_vault => 'hr'", (c) => c.vaults.includes('hr')],
  [
    'all of them',
    "p_from => '2024-02-01', p_to => '2024-08-01', p_participant => 'person.1@x.example', p_vault => 'sales'",
    (c) =>
      c.startedAt >= '2024-02-01' &&
      c.startedAt < '2024-08-01' &&
      c.participants.includes('Person.1@x.example') &&
      c.vaults.includes('sales'),
  ],
];

const NAMED = SCOPES.map((scope) => [scope?.join(' and ') ?? 'all vaults', scope] as const);
describe.each(NAMED)('for a caller who may see %s', (_scope, scope) => {
  it.each(FILTERS)(
    '%s: the list, its order and its count are what the owner counts by hand',
    async (_name, filter, keep) => {
      const expected = newestFirst(seenBy(scope).filter(keep));
      if (scope === null) expect(expected.length).toBeGreaterThan(3);
      const rows = await rowsAs<{ id: string }>(
        bank,
        bank.seal({ vaults: scope }),
        `select id from api.get_unified_recordings(${filter})`,
      );
      expect(rows.map((row) => row.id)).toEqual(expected);
      const [count] = await rowsAs<{ n: number }>(
        bank,
        bank.seal({ vaults: scope }),
        `select api.count_recordings(${filter})::int as n`,
      );
      expect(count?.n).toBe(expected.length);
    },
  );

  it.each(FILTERS)('%s: pages of 37 fit together', async (_name, filter, keep) => {
    const seen: string[] = [];
    await bank.asBank(bank.seal({ vaults: scope }), async (sql) => {
      let last: { id: string; at: string } | undefined;
      for (;;) {
        const { rows } = await sql.query<{ id: string; at: string }>(
          `select id, started_at::text as at from api.get_unified_recordings(${filter}${filter === '' ? '' : ', '}
             p_limit => 37, p_before_started_at => $1, p_before_id => $2)`,
          [last?.at ?? null, last?.id ?? null],
        );
        seen.push(...rows.map((row) => row.id));
        last = rows.at(-1);
        if (last === undefined) return;
      }
    });
    expect(seen).toEqual(newestFirst(seenBy(scope).filter(keep)));
  });

  it.each(FILTERS)(
    '%s: a search, over all its pages, finds each call that says the word once',
    async (_name, filter, keep) => {
      for (const word of ['common', 'fifth', 'unique500', 'nowhere', '"common fifth"', 'fifth -unique500']) {
        const says = (call: Call) =>
          word.startsWith('"')
            ? call.words.startsWith('common fifth')
            : word.includes(' -')
              ? call.words.includes('fifth') && !call.words.includes('unique500 ')
              : call.words.split(' ').includes(word);
        const expected = seenBy(scope)
          .filter((call) => keep(call) && says(call))
          .map((call) => call.key);
        const found: string[] = [];
        await bank.asBank(bank.seal({ vaults: scope }), async (sql) => {
          for (let offset = 0; ; offset += 45) {
            const { rows } = await sql.query<{ id: string }>(
              `select id from api.search_recordings($1, ${filter}${filter === '' ? '' : ', '}p_limit => 45, p_offset => $2)`,
              [word, offset],
            );
            found.push(...rows.map((row) => row.id));
            if (rows.length < 45) return;
          }
        });
        expect(found.toSorted(), word).toEqual(expected.toSorted());
      }
    },
  );
});

it('the list equals the sum of both tables as their owner counts them (R1.2)', async () => {
  const [seen] = await rowsAs<{ n: number }>(
    bank,
    bank.seal(),
    'select count(*)::int as n from api.get_unified_recordings()',
  );
  await asData(fixture.postgres, async (sql) => {
    const { rows } = await sql.query<{ old: number; new: number; both: number }>(
      `select (select count(*)::int from bank.fathom_calls where bank_id = 'acme') as old,
              (select count(*)::int from bank.recordings where bank_id = 'acme') as new,
              (select count(*)::int from bank.recordings where bank_id = 'acme' and legacy_id is not null) as both`,
    );
    const { old = 0, new: fresh = 0, both = 0 } = rows[0] ?? {};
    expect(both).toBeGreaterThan(300);
    expect(seen?.n).toBe(old + fresh - both);
    expect(seen?.n).toBe(TOTAL);
  });
});

describe('search', () => {
  it('marks the hits, and says where they are said', async () => {
    const [hit] = await rowsAs<{ snippet: string; start_seconds: string }>(
      bank,
      bank.seal(),
      "select * from api.search_recordings('unique500')",
    );
    expect(hit?.snippet).toContain('**unique500**');
    expect(Number(hit?.start_seconds)).toBe(calls[500]?.key.startsWith('fathom') === true ? 5 : 0);
  });

  it.each(['the', '-common', 'common or -fifth', '', '   ', '"', "'", '!!!', ':*', '\\'])(
    'takes %j without an error',
    async (query) => {
      await rowsAs(bank, bank.seal(), 'select * from api.search_recordings($1)', [query]);
    },
  );
});

describe('plans', () => {
  type Plan = {
    'Node Type': string;
    'Relation Name'?: string;
    'Index Name'?: string;
    'Subplan Name'?: string;
    'Actual Loops'?: number;
    Plans?: Plan[];
  };
  const flat = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flat)];
  const explain = async (statement: string, scope: string[] | null) => {
    const [row] = await rowsAs<{ 'QUERY PLAN': { Plan: Plan }[] }>(
      bank,
      bank.seal({ vaults: scope }),
      `explain (analyze, format json) ${statement}`,
    );
    return flat(row?.['QUERY PLAN'][0]?.Plan as Plan);
  };

  it.each<[string, string, string]>([
    [
      'the newest recordings',
      'select id from bank.recordings order by started_at desc, call_id desc limit 20',
      'recordings_newest',
    ],
    [
      'the newest legacy calls',
      'select id from bank.fathom_calls where not migrated order by recording_start_time desc, call_id desc limit 20',
      'fathom_calls_newest',
    ],
    [
      'one recording',
      "select id from bank.recordings where id = '00000000-0000-4000-8000-000000000000'",
      '^recordings_(pkey|bank_id_id_started_at_key)$',
    ],
  ])(
    '%s under the policies: an index serves, and bank and vaults are asked once a statement',
    async (_name, statement, index) => {
      for (const scope of [null, ['sales']]) {
        const nodes = await explain(statement, scope);
        expect(nodes.map((node) => node['Index Name'])).toContainEqual(expect.stringMatching(index));
        // The vault entries of a small bank may well be read whole, once.
        const whole = nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((node) => node['Relation Name']);
        expect(whole.filter((name) => name !== 'vault_entries')).toEqual([]);
        const asked = nodes.filter((node) => node['Subplan Name']?.startsWith('InitPlan') === true);
        expect(asked.length).toBeGreaterThanOrEqual(2);
        expect(asked.filter((node) => (node['Actual Loops'] ?? 0) > 1)).toEqual([]);
      }
    },
  );

  it('search finds by its one index, however frequent the word', async () => {
    await withClient(fixture.postgres.ownerUrl, async (sql) => {
      await sql.query('set role bankhouse_data');
      await sql.query('set enable_seqscan = off');
      for (const word of ['common', 'fifth', 'unique500']) {
        const { rows } = await sql.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
          `explain (format json) select id from bank.search_documents
            where document @@ $1::tsquery and scopes && array['acme'] order by started_at desc, call_id desc limit 100`.replace(
            '$1',
            `'${word}'`,
          ),
        );
        const used = flat(rows[0]?.['QUERY PLAN'][0]?.Plan as Plan).map((node) => node['Index Name']);
        expect(used.filter((name) => name !== undefined)).toEqual(['search_documents_all']);
      }
    });
  });
});
