import { z } from 'zod';
import {
  codeOf,
  isBeingMoved,
  isLoginRefused,
  isPreparedStatementLost,
  isUnavailable,
  toToolError,
} from '../../../database/errors.ts';
import { statement } from '../../../database/statement.ts';
import type { Transaction } from '../../../database/transaction.ts';
import { parseArguments, parseForwarding } from '../../../mcp/arguments.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { type CallContext, defineTool, type ForwardingTool, type LocalTool } from '../../../mcp/toolset.ts';
import { idempotencyKey } from '../operations/create.ts';
import { claimOrRecall, keepOutcome } from './once.ts';
import { NAME, REFERENCE_KEY, resolveReferences } from './references.ts';

export const MAX_OPERATIONS = 100;
/** Rows stay locked until the end, and others wait for them. */
const MAX_SECONDS = 15;

const BEFORE = statement({ text: 'savepoint bankhouse_batch' });
const UNDO = statement({ text: 'rollback to savepoint bankhouse_batch' });
/** What is checked at the end of a transaction is checked now, while there is somebody to tell. */
const SETTLE = statement({ text: 'set constraints all immediate' });

const resultSchema = z.object({
  tool: z.string(),
  as: z.string().optional(),
  result: z.record(z.string(), z.unknown()).meta({ description: 'As the tool itself answers.' }),
});
type OperationResult = z.infer<typeof resultSchema>;

interface Operation {
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly as?: string | undefined;
}

/**
 * Several operations of other tools in one transaction, all or none (R3.9).
 *
 * @param tools those that can be part of it; they work in the transaction that they are given and have no effect outside of it
 * @param forwarding tools that stand for them
 */
export function makeBatchTool(tools: readonly LocalTool[], forwarding: readonly ForwardingTool[]): LocalTool {
  const byName = new Map<string, LocalTool | ForwardingTool>(
    [...tools, ...forwarding].filter(({ access }) => access === 'write').map((tool) => [tool.name, tool]),
  );
  const operation = z.strictObject({
    tool: z
      .enum([...byName.keys()])
      .meta({ description: 'One that writes: create_*, update_*, patch_*, delete_*, archive_* or process_*.' }),
    arguments: z.looseObject({}).meta({
      description: `Its arguments. Instead of a value, {"${REFERENCE_KEY}": "<as>.<field>"} means a field of an earlier result, such as id or version.`,
    }),
    as: z
      .string()
      .regex(NAME, { message: 'it must be a name of letters, digits and _, at most 40' })
      .optional()
      .meta({ description: 'A name for the result, for later operations to refer to.' }),
  });
  return defineTool({
    name: 'batch',
    title: 'Do several things at once',
    description: `Runs 1 to ${MAX_OPERATIONS} operations of tools that write, in order: all of them are done, or none. One can refer to the result of an earlier one, such as the id of a chat that it made. The first that fails is named with its error.`,
    access: 'write',
    annotations: { destructiveHint: true, idempotentHint: false },
    input: z.strictObject({
      operations: z
        .array(operation)
        .min(1)
        .max(MAX_OPERATIONS)
        .meta({
          description: 'What to do, in this order.',
          examples: [
            [
              { tool: 'create_chat', arguments: { title: 'Renewal' }, as: 'chat' },
              { tool: 'create_chat_message', arguments: { chatId: { [REFERENCE_KEY]: 'chat.id' }, body: 'Hello' } },
            ],
          ],
        }),
      dryRun: z.boolean().default(false).meta({ description: 'Undo everything at the end; nothing is changed.' }),
      idempotencyKey: idempotencyKey.meta({
        description: 'Of your choice: sent again within 24 hours, nothing is done twice.',
      }),
    }),
    output: z.object({
      results: z.array(resultSchema).meta({ description: 'In the order of the operations.' }),
      dryRun: z.boolean().meta({ description: 'Nothing was changed.' }),
      replayed: z.boolean().meta({ description: 'The idempotencyKey was known: this was done before.' }),
    }),
    async run({ operations, dryRun, idempotencyKey: key }, context) {
      refuseTwins(operations);
      const { tx } = context;
      if (dryRun) {
        await tx.rows(BEFORE);
        const results = await runAll(byName, operations, context);
        await tx.rows(UNDO);
        return answer(results, { dryRun, replayed: false });
      }
      const known = key === undefined ? undefined : await claimOrRecall(tx, key, operations);
      if (known !== undefined) return answer(known as OperationResult[], { dryRun, replayed: true });
      const results = await runAll(byName, operations, context);
      if (key !== undefined) await keepOutcome(tx, key, results);
      return answer(results, { dryRun, replayed: false });
    },
  });
}

/** @throws ToolError `batch_failed` that names the operation */
async function runAll(
  tools: ReadonlyMap<string, LocalTool | ForwardingTool>,
  operations: readonly Operation[],
  context: CallContext,
): Promise<OperationResult[]> {
  const deadline = performance.now() + MAX_SECONDS * 1000;
  const named = new Map<string, Record<string, unknown>>();
  const results: OperationResult[] = [];
  for (const [index, operation] of operations.entries()) {
    const at = `operations[${index}]`;
    try {
      if (performance.now() > deadline) throw tooLong();
      const { tool, args } = meant(tools, operation.tool, resolveReferences(operation.arguments, named, 'arguments'));
      const { structured } = await tool.run(parseArguments(tool, args), context);
      const result = structured as Record<string, unknown>;
      if (operation.as !== undefined) named.set(operation.as, result);
      results.push({ tool: tool.name, ...(operation.as === undefined ? {} : { as: operation.as }), result });
    } catch (error) {
      throw failed(error, { at: `${at} (${operation.tool})`, field: at, index, tool: operation.tool });
    }
  }
  await settle(context.tx);
  return results;
}

function meant(
  tools: ReadonlyMap<string, LocalTool | ForwardingTool>,
  name: string,
  args: unknown,
): { tool: LocalTool; args: unknown } {
  const tool = tools.get(name);
  if (tool === undefined) throw new TypeError(name);
  if (tool.place === 'local') return { tool, args };
  const forwarded = tool.forward(parseForwarding(tool, args));
  return meant(tools, forwarded.tool, forwarded.args);
}

async function settle(tx: Transaction): Promise<void> {
  try {
    await tx.rows(SETTLE);
  } catch (error) {
    throw failed(error, { at: 'What the operations make together' });
  }
}

/**
 * The failure of one operation as the batch's own. What is no fault of an operation stays what it is: the connection, which
 * the database looks at to try again, and mistakes of ours.
 */
function failed(
  error: unknown,
  { at, field, index, tool }: { at: string; field?: string; index?: number; tool?: string },
): unknown {
  if (!(error instanceof ToolError) && codeOf(error) === undefined) return error;
  if (isBeingMoved(error) || isUnavailable(error) || isLoginRefused(error) || isPreparedStatementLost(error))
    return error;
  const own = toToolError(error);
  if (own.code === 'internal') return error;
  const inner =
    own.field === undefined ? '' : own.field.startsWith('arguments') ? `.${own.field}` : `.arguments.${own.field}`;
  return new ToolError(
    'batch_failed',
    `${at} failed with ${own.code}: ${own.message} Everything was undone: nothing was changed.`,
    `${own.remedy} Then send the whole batch again.`,
    {
      retryable: own.retryable,
      ...(field === undefined ? {} : { field: `${field}${inner}` }),
      details: { operation: { ...(index === undefined ? {} : { index, tool }), code: own.code } },
      cause: own.cause,
    },
  );
}

function tooLong(): ToolError {
  return new ToolError(
    'too_slow',
    `The operations before it took more than ${MAX_SECONDS} s.`,
    'Split the batch into smaller ones.',
  );
}

function refuseTwins(operations: readonly Operation[]): void {
  const names = operations.map((operation) => operation.as);
  const index = names.findIndex((name, at) => name !== undefined && names.indexOf(name) !== at);
  if (index < 0) return;
  throw new ToolError(
    'invalid_argument',
    `operations[${index}].as: an earlier operation is called ${names[index]} too.`,
    'Give each result a name of its own.',
    { field: `operations[${index}].as` },
  );
}

function answer(results: OperationResult[], told: { dryRun: boolean; replayed: boolean }) {
  const lines = results.map(({ tool, as, result }, index) => {
    const version = result.version === undefined ? '' : `, version ${String(result.version)}`;
    return `${index} ${tool}${as === undefined ? '' : ` as ${as}`}: id ${String(result.id)}${version}`;
  });
  const first = told.dryRun
    ? `All ${results.length} operations would work. Dry run: nothing was changed.`
    : told.replayed
      ? `All ${results.length} operations were done before, with this idempotencyKey.`
      : `All ${results.length} operations are done.`;
  return { structured: { results, ...told }, text: [first, ...lines].join('\n') };
}
