import { allows } from '@bankhouse/core';
import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server';
import { ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { parseArguments } from './arguments.ts';
import type { AnsweringTool, Meant } from './registry.ts';
import { asToolError, inTransaction, logFailure, type Requested, requestOf, type Serving } from './serving.ts';
import { ToolError, toErrorResult } from './tool-error.ts';
import type { LocalTool, RemoteTool } from './toolset.ts';

/** @throws ProtocolError for a name that is no tool's; every other failure is a result, for the model to see */
export async function callTool(
  serving: Serving,
  name: string,
  args: unknown,
  context: ServerContext,
): Promise<CallToolResult> {
  const { tools } = serving.surface;
  const called = tools.get(name);
  if (called === undefined) throw unknownTool(name);
  const requested = requestOf(context);
  const { rid } = requested.caller.assertion;
  const { signal } = context.mcpReq;
  const start = performance.now();
  let tool = name;
  let outcome = 'ok';
  try {
    const meant = tools.meant(called, args);
    tool = meant.tool.name;
    const result = await withinBudget(requested, meant.tool, () => answerOf(serving, meant, requested, signal));
    if (result.isError === true) outcome = 'upstream_failed';
    return result;
  } catch (error) {
    if (signal.aborted) {
      outcome = 'cancelled';
      throw error;
    }
    const failure = asToolError(error);
    outcome = failure.code;
    logFailure(serving.logger, failure, { rid, tool });
    return toErrorResult(failure);
  } finally {
    const durationMs = performance.now() - start;
    serving.onToolCall?.(tool, outcome, durationMs);
    serving.callLogger.info({ rid, tool, outcome, durationMs: Math.round(durationMs * 10) / 10 }, 'tool called');
  }
}

function unknownTool(name: string): ProtocolError {
  return new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    `There is no tool ${name.slice(0, 128)}; tools/list names them.`,
  );
}

async function withinBudget(
  { budget }: Requested,
  { access }: AnsweringTool,
  work: () => Promise<CallToolResult>,
): Promise<CallToolResult> {
  budget?.check();
  const result = await work();
  const { content, structuredContent } = result;
  if (budget !== undefined) {
    const characters = Math.max(JSON.stringify(content).length, JSON.stringify(structuredContent ?? null).length);
    if (access === 'read') budget.take(characters);
    else budget.spend(characters);
  }
  return result;
}

function answerOf(
  serving: Serving,
  { tool, args }: Meant,
  requested: Requested,
  signal: AbortSignal,
): Promise<CallToolResult> {
  requireAccess(tool, requested);
  return tool.place === 'local'
    ? runLocal(serving, tool, { args, requested, signal })
    : callRemote(serving, tool, { args, requested, signal });
}

/** Behind the door's own check: what a forwarded call comes to is looked at where it is known for certain. */
function requireAccess({ name, access }: AnsweringTool, { caller }: Requested): void {
  const { access: given, scopes } = caller.assertion;
  if (given === undefined ? scopes.includes(`mcp:${access}`) : allows(given, access)) return;
  throw new ToolError('forbidden', `${name} needs the scope mcp:${access}.`, 'Ask for a token that has it.');
}

interface Call {
  readonly args: unknown;
  readonly requested: Requested;
  readonly signal: AbortSignal;
}

async function runLocal(serving: Serving, tool: LocalTool, call: Call): Promise<CallToolResult> {
  const { signal } = call;
  const { caller } = call.requested;
  const input = parseArguments(tool, call.args);
  const prepared = await tool.prepare?.(input, {
    bank: serving.bank,
    caller,
    logger: serving.logger,
    signal,
    transaction: (access, work) => inTransaction(serving, caller, signal, access === 'read', work),
  });
  const answer = await inTransaction(serving, caller, signal, tool.access === 'read', (context) =>
    tool.run(input, context, prepared),
  );
  return {
    content: [{ type: 'text', text: answer.text }, ...(answer.content ?? [])],
    structuredContent: answer.structured as Record<string, unknown>,
  };
}

/** No transaction is opened, before, during or after it. */
async function callRemote(serving: Serving, tool: RemoteTool, call: Call): Promise<CallToolResult> {
  const { bank, logger } = serving;
  const args = call.args ?? {};
  if (typeof args !== 'object' || Array.isArray(args)) {
    throw new ToolError('invalid_argument', 'The arguments are not an object.', `Send ${tool.name} an object.`);
  }
  const { caller } = call.requested;
  const { signal } = call;
  return tool.call(args as Record<string, unknown>, { bank, caller, logger, signal });
}
