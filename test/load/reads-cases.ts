/** Rows, and reads of them: of each a tool with its arguments, and the bare statement for the same rows. */

export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

interface Read {
  readonly what: string;
  readonly tool: string;
  readonly args: Record<string, unknown>;
  /** @param vaults null: all, and what is in none */
  readonly bare: (vaults: readonly string[] | null) => Statement;
}

export const VAULTS = ['hr', 'sales', 'support'];
/** Of bank acme; the others have a third. */
const ROWS = 3000;

const vault = `(array['${VAULTS.join("', '")}'])[n % 3 + 1]`;
const words = `(array['pricing', 'renewal', 'security review', 'next steps', 'onboarding'])[n % 5 + 1] || ' with customer ' || n`;
const at = `timestamptz '2026-01-01' + n * interval '7 minutes'`;
const transcript = `jsonb_build_array(jsonb_build_object('start', 0, 'end', 9, 'speaker', 'Ada', 'text', ${words} || ' again'))`;

/** About 20,000 rows. */
export const SEED = ['acme', 'globex', 'initech'].flatMap((bank) => {
  const amount = bank === 'acme' ? ROWS : ROWS / 3;
  const from = (share: number) => `from generate_series(1, ${amount / share}) n`;
  const columns = 'bank_id, id, vault_id, created_by, updated_by, created_at, updated_at';
  const common = `select '${bank}', md5('${bank}' || n)::uuid, ${vault}, 'seed', 'seed', ${at}, ${at}`;
  return [
    'begin',
    `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time, transcript_language)
       select '${bank}', n, ${vault}, ${words}, ${at}, ${at} + interval '1 hour', 'en' ${from(3)}`,
    `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds, transcript, language, participants)
       select '${bank}', md5('${bank}' || n)::uuid, ${words}, ${at}, 60, ${transcript}, 'en', array['Ada'] ${from(1)}`,
    `insert into bank.vault_entries (bank_id, vault_id, recording_id)
       select '${bank}', ${vault}, md5('${bank}' || n)::uuid ${from(1)}`,
    `insert into bank.notes (${columns}, title, body) ${common}, ${words}, repeat('word ', 60) ${from(1)}`,
    `insert into bank.tasks (${columns}, title, description) ${common}, ${words}, repeat('word ', 20) ${from(2)}`,
    `insert into bank.chats (${columns}, title) ${common}, ${words} ${from(4)}`,
    `insert into bank.chat_messages (${columns}, chat_id, body)
       select '${bank}', md5('m${bank}' || n)::uuid, ${vault}, 'seed', 'seed', ${at}, ${at},
              md5('${bank}' || (n % ${amount / 4} + 1))::uuid, ${words} ${from(2)}`,
    `insert into bank.comments (${columns}, parent_type, parent_id, body)
       ${common}, 'note', md5('${bank}' || n)::uuid::text, ${words} ${from(2)}`,
    'commit',
  ];
});

const NOTE = `id, version, status, created_at, created_by, updated_at, updated_by, archived_at, title, left(body, 1000) as body, pinned,
  tags, recording_id, vault_id, language`;
const TASK = `id, version, status, created_at, created_by, updated_at, updated_by, archived_at, title,
  left(description, 1000) as description, priority, due_at, assignee, tags, recording_id, vault_id, completed_at, language`;

/** A page and the row that says whether there is another: of a list, and of `query`. */
const LIST = 'order by created_at desc, id desc limit 21';
const PAGE = 'order by created_at desc, id desc limit 51';

/** $1 is the bank, $2 the vaults where they are limited; `more` follow. */
function statement(
  vaults: readonly string[] | null,
  text: (inVaults: string, next: (place: number) => string) => string,
  more: readonly unknown[] = [],
): Statement {
  const first = vaults === null ? ['acme'] : ['acme', vaults];
  return {
    text: text(vaults === null ? '' : 'and vault_id = any ($2)', (place) => `$${first.length + place}`),
    values: [...first, ...more],
  };
}

const ENTITIES: [kind: string, title: string, words: string][] = [
  ['notes', 'title', 'body'],
  ['tasks', 'title', 'description'],
  ['comments', 'null', 'body'],
  ['chats', 'title', "''"],
  ['chat_messages', 'null', 'body'],
];

/** The newest fifty matches of every kind, the ten best of all with what is around the words. */
const searchText = (
  inVaults: string,
  query: string,
) => `with q as (select websearch_to_tsquery('english', ${query}) as query), found as (
  ${ENTITIES.map(
    ([
      table,
      title,
      body,
    ]) => `(select '${table}' as kind, id::text, created_at, ${title} as title, ${body} as words, ts_rank(document, query, 1) as rank
      from (select t.*, query from bank.${table} t, q where bank_id = $1 ${inVaults} and archived_at is null and document @@ query
        order by created_at desc, id desc limit 50) t)`,
  ).join(' union all ')}
  union all ${recordingsFound(inVaults)})
  select kind, id, created_at, title, rank, ts_headline('english', concat_ws('. ', title, nullif(words, '')), query) as snippet
    from (select * from found order by rank desc limit 10) f, q`;

const recordingsFound = (inVaults: string) => `(select 'recordings' as kind, d.call_id, d.started_at,
    coalesce(r.title, f.title), coalesce(r.transcript -> 0 ->> 'text', ''), d.rank
    from (select d.*, ts_rank(document, query, 1) as rank from bank.search_documents d, q
      where d.bank_id = $1 and document @@ query and ${scopes(inVaults)} order by started_at desc, call_id desc limit 50) d
    left join bank.recordings r on r.bank_id = $1 and r.id = d.recording_id
    left join bank.fathom_calls f on f.bank_id = $1 and f.id = d.legacy_id)`;

const scopes = (inVaults: string) =>
  inVaults === ''
    ? 'true'
    : `(exists (select from bank.vault_entries e where e.bank_id = $1 and e.recording_id = d.recording_id and e.vault_id = any ($2))
        or exists (select from bank.fathom_calls f where f.bank_id = $1 and f.id = d.legacy_id and f.vault_id = any ($2)))`;

const callColumns = (which: 'new' | 'old', inVaults: string) =>
  which === 'new'
    ? `select r.call_id as id, 'recording' as source, r.title, r.started_at, r.duration_seconds, r.participants,
         array(select e.vault_id from bank.vault_entries e where e.bank_id = r.bank_id and e.recording_id = r.id) as vault_ids, r.language
         from bank.recordings r where r.bank_id = $1 ${inVaults === '' ? '' : 'and exists (select from bank.vault_entries e where e.bank_id = $1 and e.recording_id = r.id and e.vault_id = any ($2))'}`
    : `select f.call_id, 'legacy', f.title, f.recording_start_time, extract(epoch from f.recording_end_time - f.recording_start_time)::int,
         '{}'::text[], array_remove(array[f.vault_id::text], null), f.transcript_language
         from bank.fathom_calls f where f.bank_id = $1 ${inVaults} and not f.migrated`;

const FILTER = {
  and: [
    { field: 'status', op: 'eq', value: 'draft' },
    { field: 'title', op: 'contains', value: 'customer 1' },
  ],
};

export const READS: readonly Read[] = [
  {
    what: 'list_recordings',
    tool: 'list_recordings',
    args: {},
    bare: (vaults) =>
      statement(
        vaults,
        (
          inVaults,
        ) => `select * from ((${callColumns('new', inVaults)} order by r.started_at desc, r.call_id desc limit 21)
          union all (${callColumns('old', inVaults)} order by f.recording_start_time desc, f.call_id desc limit 21)) c
          order by started_at desc, id desc limit 21`,
      ),
  },
  {
    what: 'search_recordings',
    tool: 'search_recordings',
    args: { query: 'pricing' },
    bare: (vaults) =>
      statement(
        vaults,
        (inVaults, next) => `with q as (select websearch_to_tsquery('english', ${next(1)}) as query),
          found (kind, id, at, title, words, rank) as (${recordingsFound(inVaults)})
          select f.*, ts_headline('english', concat_ws('. ', title, words), query) as snippet
            from (select * from found order by rank desc limit 20) f, q`,
        ['pricing'],
      ),
  },
  {
    what: 'list_notes',
    tool: 'list_notes',
    args: {},
    bare: (vaults) =>
      statement(
        vaults,
        (inVaults) => `select ${NOTE} from bank.notes where bank_id = $1 ${inVaults} and archived_at is null ${LIST}`,
      ),
  },
  {
    what: 'list_notes of a vault',
    tool: 'list_notes',
    args: { vaultId: 'sales' },
    bare: () =>
      statement(
        ['sales'],
        (inVaults) => `select ${NOTE} from bank.notes where bank_id = $1 ${inVaults} and archived_at is null ${LIST}`,
      ),
  },
  {
    what: 'list_tasks',
    tool: 'list_tasks',
    args: {},
    bare: (vaults) =>
      statement(
        vaults,
        (inVaults) => `select ${TASK} from bank.tasks where bank_id = $1 ${inVaults} and archived_at is null ${LIST}`,
      ),
  },
  {
    what: 'query',
    tool: 'query',
    args: { kind: 'note' },
    bare: (vaults) =>
      statement(
        vaults,
        (inVaults) => `select ${NOTE} from bank.notes where bank_id = $1 ${inVaults} and archived_at is null ${PAGE}`,
      ),
  },
  {
    what: 'query with a filter',
    tool: 'query',
    args: { kind: 'note', filter: FILTER },
    bare: (vaults) =>
      statement(
        vaults,
        (inVaults, next) => `select ${NOTE} from bank.notes where bank_id = $1 ${inVaults} and archived_at is null
          and status = ${next(1)} and title ilike ${next(2)} ${PAGE}`,
        ['draft', '%customer 1%'],
      ),
  },
  {
    what: 'query with groups',
    tool: 'query',
    args: { kind: 'note', groupBy: [{ field: 'vaultId' }], aggregate: [{ function: 'count' }] },
    bare: (vaults) =>
      statement(
        vaults,
        (
          inVaults,
        ) => `select vault_id, count(*)::float8 as amount from bank.notes where bank_id = $1 ${inVaults} and archived_at is null
          group by vault_id order by vault_id limit 101`,
      ),
  },
  {
    what: 'search',
    tool: 'search',
    args: { query: 'pricing' },
    bare: (vaults) => statement(vaults, (inVaults, next) => searchText(inVaults, next(1)), ['pricing']),
  },
];
