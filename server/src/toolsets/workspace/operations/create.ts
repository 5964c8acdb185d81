import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Statement, Transaction } from '../../../database/transaction.ts';
import type { EntityDefinition, Field } from '../../../entities/index.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { defineTool, type Tool } from '../../../mcp/toolset.ts';
import { writeRefused } from '../errors.ts';
import { noun, parameter, RECEIPT, type Receipt, receiptShape, receiptText, toParameter, toReceipt } from '../rows.ts';
import { creatable, type Values, wholeShape } from '../schemas.ts';
import { vaultForNew } from '../vaults.ts';

export const idempotencyKey = z
  .string()
  .min(1)
  .max(200)
  .refine((value) => /^[\x21-\x7e]+$/.test(value), { message: 'it must be printable ASCII without blanks' })
  .optional()
  .meta({ description: 'Of your choice, one per creation: sent again within 24 hours, nothing is made twice.' });

interface Statements {
  readonly insert: Statement;
  /** Claims the key and inserts in one statement; no row: the key was there. Parallel calls of one key follow each other. */
  readonly insertOnce: Statement;
  readonly replay: Statement;
}

export function createTool(definition: EntityDefinition): Tool {
  const fields = creatable(definition);
  const statements = statementsOf(definition, fields);
  const placed = fields.find((field) => field.name === 'vaultId');
  return defineTool({
    name: `create_${definition.name}`,
    title: `Create a ${noun(definition)}`,
    description: `Makes a ${noun(definition)}. ${definition.description}.`,
    access: 'write',
    annotations: { destructiveHint: false, idempotentHint: false },
    input: z.strictObject({ ...wholeShape(fields, { described: true }), idempotencyKey }),
    output: z.object({
      ...receiptShape,
      replayed: z.boolean().meta({ description: 'The idempotencyKey was known: this was made before.' }),
    }),
    async run({ idempotencyKey: key, ...args }, { tx, caller }) {
      const given: Values = args;
      const values = fields.map((field) =>
        toParameter(
          field,
          // Where only create may set the vault, it follows a parent, and the database knows best.
          field === placed && field.writable === 'always'
            ? vaultForNew(caller, given.vaultId as string | null | undefined)
            : given[field.name],
        ),
      );
      const { receipt, replayed } =
        key === undefined
          ? { receipt: await insert(tx, statements.insert, values), replayed: false }
          : await insertOnce(tx, definition, statements, { key, digest: digestOf(args), values });
      return {
        structured: { ...receipt, replayed },
        text: receiptText(definition, replayed ? 'Already made' : 'Made', receipt),
      };
    },
  });
}

function statementsOf(definition: EntityDefinition, fields: readonly Field[]): Statements {
  const { name, plural } = definition;
  const columns = fields.map((field) => field.column).join(', ');
  const values = (first: number) => fields.map((field, index) => parameter(first + index, field)).join(', ');
  return {
    insert: {
      name: `create_${name}`,
      text: `insert into bank.${plural} (${columns}) values (${values(1)}) returning ${RECEIPT}`,
    },
    insertOnce: {
      name: `create_${name}_once`,
      text: `with claimed as (
          insert into bank.idempotency_keys as k (key, digest, entity) values ($1, $2, '${plural}')
          on conflict (bank_id, subject, key) do update
            set digest = excluded.digest, entity = excluded.entity, row_id = gen_random_uuid(), created_at = clock_timestamp()
            where k.created_at < clock_timestamp() - bank.idempotency_window()
          returning row_id)
        insert into bank.${plural} (id, ${columns}) select row_id, ${values(3)} from claimed returning ${RECEIPT}`,
    },
    replay: {
      name: `replay_${name}`,
      text: `select k.digest = $2 and k.entity = '${plural}' as same, t.*
        from bank.idempotency_keys k
        left join lateral (select ${RECEIPT} from bank.${plural} e where e.id = k.row_id) t on true
        where k.key = $1 and k.subject = (select bank.subject())`,
    },
  };
}

async function insert(tx: Transaction, statement: Statement, values: readonly unknown[]): Promise<Receipt> {
  const [row] = await tx.rows<Receipt>(statement, values);
  if (row === undefined) throw writeRefused();
  return toReceipt(row);
}

async function insertOnce(
  tx: Transaction,
  definition: EntityDefinition,
  statements: Statements,
  { key, digest, values }: { key: string; digest: Buffer; values: readonly unknown[] },
): Promise<{ receipt: Receipt; replayed: boolean }> {
  const [made] = await tx.rows<Receipt>(statements.insertOnce, [key, digest, ...values]);
  if (made !== undefined) return { receipt: toReceipt(made), replayed: false };
  const [known] = await tx.rows<{ same: boolean } & Receipt>(statements.replay, [key, digest]);
  if (known === undefined) throw writeRefused();
  const { same, ...receipt } = known;
  if (!same) {
    throw new ToolError(
      'conflict',
      'This idempotencyKey was used within the last 24 hours to create something else.',
      `Send another key for another ${noun(definition)}, or the same arguments as before.`,
      { field: 'idempotencyKey' },
    );
  }
  if (receipt.id === null) {
    throw new ToolError(
      'conflict',
      `The ${noun(definition)} that was made with this idempotencyKey is no longer there, or no longer yours to see.`,
      'Send another key to make another one.',
      { field: 'idempotencyKey' },
    );
  }
  return { receipt: toReceipt(receipt), replayed: true };
}

/** SHA-256 of the arguments, in whatever order they came. */
function digestOf(args: Values): Buffer {
  const sorted = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(sorted)).digest();
}
