/** Every way to ask about a value: statements on the tables, and the functions that a bank's role may call with the value in each place. */
import pg from 'pg';
import type { Guesses, Shape } from './guesses.ts';
import { OPEN_VAULT, type Planted, type Secret } from './planted.ts';

/** A statement with the guess in it. */
export interface Probe {
  readonly name: string;
  readonly sql: (guess: string) => string;
}

export interface Field {
  readonly column: string;
  readonly type: string;
  readonly sqlType: string;
  readonly writable: string;
  readonly nullable: boolean;
  readonly operators: readonly string[];
}

export interface Definition {
  readonly kind: string;
  readonly table: string | null;
  readonly fields: Readonly<Record<string, Field>>;
}

export interface Callable {
  readonly name: string;
  readonly args: readonly { readonly name: string; readonly type: string }[];
}

const text = (value: string) => pg.escapeLiteral(value);

/** Direct statements on the column: all must be answered alike, since nobody may enter the schema. */
export function statements({ relation, column }: Secret): Probe[] {
  const table = `bank.${relation}`;
  const where = (guess: string) => `${column}::text = ${text(guess)}`;
  return [
    { name: 'select', sql: (guess) => `select count(*) from ${table} where ${where(guess)}` },
    { name: 'explain', sql: (guess) => `explain (verbose, format json) select from ${table} where ${where(guess)}` },
    {
      name: 'explain analyze',
      sql: (guess) =>
        `explain (analyze, buffers, timing off, summary off, format json) select ${column} from ${table} where ${where(guess)}`,
    },
    { name: 'update', sql: (guess) => `update ${table} set ${column} = ${column} where ${where(guess)}` },
    { name: 'delete', sql: (guess) => `delete from ${table} where ${where(guess)}` },
    {
      name: 'insert',
      sql: (guess) => `insert into ${table} (${column}) values (${text(guess)}) on conflict do nothing`,
    },
    { name: 'lock', sql: () => `lock table ${table} in access share mode` },
    { name: 'copy', sql: (guess) => `copy (select from ${table} where ${where(guess)}) to stdout` },
    { name: 'cursor', sql: (guess) => `declare c cursor for select from ${table} where ${where(guess)}; fetch c` },
    {
      name: 'prepare',
      sql: (guess) => `prepare p as select from ${table} where ${where(guess)}; execute p; deallocate p`,
    },
    {
      name: 'table as xml',
      sql: (guess) => `select query_to_xml(${text(`select from ${table} where ${where(guess)}`)}, true, true, '')`,
    },
    {
      name: 'statistics',
      sql: (guess) =>
        `select count(*) from pg_stats where schemaname = 'bank' and tablename = ${text(relation)} and s::text like ${text(`%${guess}%`)}`.replace(
          'from pg_stats',
          'from pg_stats s',
        ),
    },
  ];
}

/** What an argument is when the guess is elsewhere. */
function usual(name: string, type: string, planted: Planted, kind: string): string {
  const id = planted.visible[kind] ?? planted.visible.note ?? '';
  const known: Record<string, string> = {
    p_kind: text(kind),
    p_kinds: `array['${kind}', '${kind}s']`,
    p_query: text('ordinary'),
    p_limit: '5',
    p_inputs: '5',
    p_offset: '0',
    p_offsets: 'array[0, 0]',
    p_model: text('m'),
    p_dimensions: 'null',
    p_vector: "'{1}'",
    p_id: text(id),
    p_ids: `array['${id}', '${id}']`,
    p_passages: 'array[0, 0]',
    p_digests: "array['00', '00']",
    p_vectors: "array['{1}', '{1}']",
    p_version: 'null',
    p_archived: type === 'boolean' ? 'true' : text('include'),
    p_action: text('reopen'),
    p_key: text('a key of ours'),
    p_digest: "sha256('x')",
    p_feeds: "array['00000000-0000-4000-8000-000000000000']",
    p_position: text('1:1:'),
    p_outcome: `'[]'`,
    p_ask: `'{"fields": ["id"], "archived": "include", "limit": 5}'`,
    p_values: `'{}'`,
  };
  return `${known[name] ?? 'null'}::${type}`;
}

const SHAPES: Record<Shape, RegExp> = {
  text: /^(text|text\[\]|name|character varying)$/,
  number: /^(integer|bigint|numeric|double precision|real|integer\[\]|bigint\[\])$/,
  instant: /^timestamp with time zone$/,
  bytes: /^(bytea|text\[\])$/,
  vector: /^real\[\]$/,
};

/** The kind that a relation's rows are of, or that they are about. */
function kindOf(relation: string, definitions: readonly Definition[]): string {
  return (
    definitions.find(({ table }) => table === relation)?.kind ??
    (/recording|call|entries|document/.test(relation) ? 'recording' : 'note')
  );
}

/** Calls of functions with the value as one of the arguments, whole or as an entry of a list. */
export function calls(
  functions: readonly Callable[],
  definitions: readonly Definition[],
  secret: Secret,
  { shape }: Guesses,
  planted: Planted,
): Probe[] {
  const found: Probe[] = [];
  const kind = kindOf(secret.relation, definitions);
  for (const one of functions) {
    for (const [place, { name, type }] of one.args.entries()) {
      if (!SHAPES[shape].test(type)) continue;
      const literal = (guess: string) =>
        type.endsWith('[]') ? `array[${text(guess)}, ${text(guess)}]::${type}` : `${text(guess)}::${type}`;
      found.push({
        name: `${one.name}, ${name} (${kind})`,
        sql: (guess) =>
          `select * from ${one.name}(${one.args.map((arg, n) => (n === place ? literal(guess) : usual(arg.name, arg.type, planted, kind)))})`,
      });
    }
  }
  return found;
}

/** With each that says something of its own. */
const OPERATORS = /^(eq|in|lt|gte|contains|startsWith|has|hasAll|ieq|call)$/;
const FITS: Record<Shape, RegExp> = {
  text: /^(text|longText|texts|key|enum)$/,
  number: /^(integer|number|text|key)$/,
  instant: /^(instant|text)$/,
  bytes: /^$/,
  vector: /^$/,
};

/** Asks in JSON: the value in a filter with each operator, as a position to go on from, in place of every name, and as what is written. */
export function asks(
  definitions: readonly Definition[],
  secret: Secret,
  { shape }: Guesses,
  planted: Planted,
): Probe[] {
  const found: Probe[] = [];
  const json = (value: unknown) => `${text(JSON.stringify(value))}::jsonb`;
  for (const { kind, table, fields } of definitions) {
    const isCall = /^fathom-/.test(secret.value);
    for (const [name, field] of Object.entries(fields)) {
      const concerns =
        ((table === secret.relation || (table === null && /recordings|fathom_calls/.test(secret.relation))) &&
          field.column === secret.column) ||
        (isCall && /^(recordingId|parentId|id)$/.test(name)) ||
        (secret.relation === 'vaults' && /vault/i.test(name)) ||
        (secret.relation === 'fathom_calls' && kind === 'recording');
      if (!concerns || !FITS[shape].test(field.type)) continue;
      const typed = (guess: string) => (field.type === 'integer' || field.type === 'number' ? Number(guess) : guess);
      for (const op of field.operators.filter((one) => OPERATORS.test(one))) {
        const value = (guess: string) =>
          /^(in|hasAny|hasAll)$/.test(op) ? [typed(guess), typed(guess)] : typed(guess);
        const ask = (guess: string) => ({
          fields: ['id'],
          archived: 'include',
          filter: { field: name, op, value: value(guess) },
          limit: 5,
        });
        found.push(
          {
            name: `read_rows ${kind}, ${name} ${op}`,
            sql: (guess) => `select * from api.read_rows('${kind}', ${json(ask(guess))})`,
          },
          ...(op === 'in' || op === 'hasAll'
            ? []
            : [
                {
                  name: `group_rows ${kind}, ${name} ${op}`,
                  sql: (guess: string) =>
                    `select * from api.group_rows('${kind}', ${json({ ...ask(guess), aggregate: [{ function: 'count' }] })})`,
                },
              ]),
        );
      }
      found.push({
        name: `read_rows ${kind}, after a position in ${name}`,
        sql: (guess) =>
          `select * from api.read_rows('${kind}', ${json({
            fields: ['id'],
            archived: 'include',
            sort: [{ field: name, direction: 'asc' }],
            after: { values: [guess], id: kind === 'recording' ? '' : '00000000-0000-4000-8000-000000000000' },
            limit: 5,
          })})`,
      });
      if (field.writable !== 'never') {
        const id = planted.visible[kind] ?? '';
        const given = (guess: string) => json({ [name]: field.type === 'texts' ? [guess] : typed(guess) });
        const full = (guess: string) =>
          json({
            ...(fields.title === undefined ? {} : { title: 'x' }),
            ...(fields.body === undefined ? {} : { body: 'x' }),
            ...(fields.vaultId?.writable === 'always' ? { vaultId: OPEN_VAULT } : {}),
            ...(fields.chatId === undefined ? {} : { chatId: planted.visible.chat }),
            ...(fields.parentType === undefined
              ? {}
              : { parentType: 'recording', parentId: planted.visible.recording }),
            [name]: field.type === 'texts' ? [guess] : typed(guess),
          });
        found.push(
          {
            name: `create_row ${kind}, ${name}`,
            sql: (guess) => `select * from api.create_row('${kind}', ${full(guess)})`,
          },
          {
            name: `change_row ${kind}, ${name}`,
            sql: (guess) => `select * from api.change_row('${kind}', '${id}', (select 1), ${given(guess)})`,
          },
        );
      }
    }
  }
  if (shape === 'text') {
    const name =
      (change: (guess: string) => object): Probe['sql'] =>
      (guess) =>
        `select * from api.read_rows('note', ${json(change(guess))})`;
    found.push(
      { name: 'read_rows, a field by that name', sql: name((guess) => ({ fields: [guess], limit: 5 })) },
      {
        name: 'read_rows, an order by that name',
        sql: name((guess) => ({ fields: ['id'], sort: [{ field: guess }], limit: 5 })),
      },
      {
        name: 'read_rows, a filter on that name',
        sql: name((guess) => ({ fields: ['id'], filter: { field: guess, op: 'eq', value: 'x' }, limit: 5 })),
      },
      {
        name: 'group_rows, in that time zone',
        sql: (guess) =>
          `select * from api.group_rows('note', ${json({ groupBy: [{ field: 'createdAt', bucket: 'day' }], aggregate: [{ function: 'count' }], timeZone: guess, limit: 5 })})`,
      },
    );
  }
  return found;
}
