/** What a session can see of one statement of its own, by every means that SQL has. */
import type pg from 'pg';
import type { Probe } from './probes.ts';

/** Each thing that was seen, by its name, as text. */
export type Observation = Readonly<Record<string, string>>;

/**
 * Per relation and function of ours, what the session's own transaction did to it: rows and pages read, scans, calls. Every role may
 * ask, by numbers that pg_class tells.
 */
const COUNTED = `select coalesce(string_agg(s, ' ' order by s), '') as counted from (
  select concat_ws('/', c.oid::text, pg_stat_get_xact_numscans(c.oid), pg_stat_get_xact_tuples_returned(c.oid), pg_stat_get_xact_tuples_fetched(c.oid),
           pg_stat_get_xact_blocks_fetched(c.oid), pg_stat_get_xact_tuples_inserted(c.oid), pg_stat_get_xact_tuples_updated(c.oid),
           pg_stat_get_xact_tuples_deleted(c.oid)) as s
    from pg_class c
   where c.oid >= 16384 and c.relkind in ('r', 'i', 't')
     and pg_stat_get_xact_blocks_fetched(c.oid) + pg_stat_get_xact_numscans(c.oid) + pg_stat_get_xact_tuples_inserted(c.oid) > 0
  union all
  select concat_ws('/', p.proname, pg_stat_get_xact_function_calls(p.oid))
    from pg_proc p where p.oid >= 16384 and pg_stat_get_xact_function_calls(p.oid) > 0) x`;

const LOCKED = `select coalesce(string_agg(concat_ws('/', locktype, relation, classid, objid, mode, fastpath), ' ' order by locktype, relation, objid, mode), '') as locked
  from pg_locks where pid = pg_backend_pid() and locktype not in ('virtualxid', 'transactionid')`;

const EXPLAIN = 'explain (analyze, buffers, wal, settings, verbose, timing off, summary off, format json)';

/** Else the next transaction's counters begin with this one's. */
const FLUSH = 'select pg_stat_force_next_flush()';

/** As far as it may differ from one time to the next: ids, instants and numbers that the statement itself made. */
function settled(text: string, guess: string): string {
  const words = [guess, JSON.stringify(guess).slice(1, -1)].map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return text
    .replace(new RegExp(`(?<![0-9a-z])(${words.join('|')})(?![0-9a-z])`, 'g'), '<guess>')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+\d\d)?/g, '<instant>');
}

async function attempt(sql: pg.Client, text: string): Promise<pg.QueryResult[] | string> {
  try {
    return [await sql.query(text)].flat() as pg.QueryResult[];
  } catch (error) {
    const { code, message, detail, hint, constraint, column, table, schema, where } = error as pg.DatabaseError;
    return JSON.stringify({ code, message, detail, hint, constraint, column, table, schema, where });
  }
}

const BEGIN = (sealed: string) => `begin read write; select set_config('bankhouse.assertion', '${sealed}', true)`;

/** A call is explained as well. */
export async function observe(sql: pg.Client, sealed: string, probe: Probe, guess: string): Promise<Observation> {
  const text = probe.sql(guess);
  const explained = text.startsWith('select * from api.');
  const seen: Record<string, string> = {};
  const plan = explained ? `rollback to savepoint s; ${EXPLAIN} ${text};` : '';
  const answer = await attempt(
    sql,
    `${BEGIN(sealed)}; savepoint s; ${text}; set constraints all immediate; ${LOCKED}; ${COUNTED}; ${plan} ${FLUSH}; rollback`,
  );
  if (typeof answer === 'string') {
    seen.error = answer;
    // What a statement that failed had read is counted all the same.
    const after = await attempt(sql, `rollback to savepoint s; ${LOCKED}; ${COUNTED}; ${FLUSH}; rollback`);
    seen.afterError = JSON.stringify(typeof after === 'string' ? after : after.slice(1, 3).map(({ rows }) => rows));
    if (typeof after === 'string') await attempt(sql, 'rollback');
  } else {
    const results = answer.slice(3);
    const place = results.findIndex(({ command }) => command === 'SET');
    seen.rows = JSON.stringify(results.slice(0, place).map(({ rows, rowCount }) => [rowCount, rows]));
    seen.locks = String(results[place + 1]?.rows[0]?.locked);
    seen.counted = String(results[place + 2]?.rows[0]?.counted);
    if (explained) seen.plan = JSON.stringify(pagesTogether(results[place + 4]?.rows[0]['QUERY PLAN'][0].Plan));
  }
  return Object.fromEntries(Object.entries(seen).map(([name, value]) => [name, settled(value, guess)]));
}

/** Whether a page was in memory already is chance; how many were asked for is not. */
function pagesTogether(plan: Record<string, unknown>): unknown {
  const {
    'Shared Hit Blocks': hit,
    'Shared Read Blocks': read,
    'Shared Dirtied Blocks': _d,
    'Shared Written Blocks': _w,
    ...rest
  } = plan;
  return { ...rest, pages: Number(hit ?? 0) + Number(read ?? 0) };
}

/** With what the server sends of its own about parsing and planning. */
export async function observeNotices(
  sql: pg.Client,
  sealed: string,
  probe: Probe,
  guess: string,
): Promise<Observation> {
  const notices: string[] = [];
  const listen = ({ message, severity }: { message?: string | undefined; severity?: string | undefined }) => {
    notices.push(`${severity} ${message}`);
  };
  sql.on('notice', listen);
  await attempt(
    sql,
    `${BEGIN(sealed)}; set local client_min_messages = log; set local debug_print_plan = on; set local debug_print_parse = on;
     set local debug_print_rewritten = on; ${probe.sql(guess)}; set constraints all immediate; rollback`,
  );
  await attempt(sql, 'rollback');
  sql.off('notice', listen);
  const bytes = JSON.stringify([...guess].map((letter) => letter.charCodeAt(0)));
  // The statement itself is printed with its constants, as bytes.
  return {
    notices: settled(
      notices
        .join('\n')
        .replace(/:constvalue \d+ \[[^\]]*\]|:location -?\d+|:stmt_len \d+|:stmt_location \d+/g, '')
        .replaceAll(bytes, ''),
      guess,
    ),
  };
}

/** Names of what differs though two wrong guesses are alike in it. */
export function told(right: readonly Observation[], wrong: readonly Observation[]): string[] {
  const names = new Set([...right, ...wrong].flatMap((one) => Object.keys(one)));
  return [...names].filter((name) => {
    const ofWrong = new Set(wrong.map((one) => one[name]));
    return ofWrong.size === 1 && right.every((one) => !ofWrong.has(one[name]));
  });
}
