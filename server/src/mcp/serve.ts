import { BankhouseError, DATABASE_LOGIN_REFUSED, messageOf, type ToolProfile } from '@bankhouse/core';
import {
  type CacheHint,
  createMcpHandler,
  type GetPromptResult,
  type ListResourcesResult,
  type McpHttpHandler,
  type McpServerFactory,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  type Resource,
  ResourceNotFoundError,
  Server,
  type ServerContext,
  type ServerOptions,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Caller } from '../caller.ts';
import { cursorsOf } from '../paging/cursor.ts';
import { callTool } from './call-tool.ts';
import { completeArgument } from './completion.ts';
import { DIRECT_REVISION, type DirectCalls, directCalls } from './direct.ts';
import { withListening } from './live.ts';
import { fillPrompt } from './prompts.ts';
import type { ToolRegistry } from './registry.ts';
import {
  asToolError,
  inTransaction,
  logFailure,
  requestedOf,
  requestOf,
  type Serving,
  type ToolLists,
} from './serving.ts';
import { changeWatched, withSessions } from './sessions.ts';
import { ToolError } from './tool-error.ts';
import { type CallContext, LISTED_A_PAGE } from './toolset.ts';

/** How long a client may keep what a release alone changes, and what the bank's rows change. */
const STATIC: CacheHint = { ttlMs: 300_000, cacheScope: 'private' };
const LIVE: CacheHint = { ttlMs: 5000, cacheScope: 'private' };

/** After what toolsets say of themselves, which names the tools of `full`. */
const PROFILE_WORDS: Readonly<Record<ToolProfile, string>> = {
  full: '',
  compact: ' Tools named *_entry do what those of each kind do: create_entry with kind note is create_note.',
  search: ' These tools are not listed: find_tools finds them, and call_tool calls them.',
};

/** The SDK validates with it what a client answers to a question; this server asks none, and Ajv costs every request a compiler. */
const NO_ELICITATION: NonNullable<ServerOptions['jsonSchemaValidator']> = {
  getValidator() {
    throw new BankhouseError('elicitation_unused', 'This server asks its clients nothing.');
  },
};

/** The SDK's handler, and beside it the short way of plain tool calls. */
export interface McpService extends McpHttpHandler {
  readonly direct: DirectCalls;
  /** Name of the tool that answers a call of this one with such arguments: itself, but for one that forwards calls. */
  answering(tool: string, args: unknown): string;
}

/**
 * The SDK's handler for both eras of the protocol, and the short way of plain calls. The handler wants a Server of its own for every request; what costs in one (the list
 * of tools, schemas, validators) is made once, here and in the surface, and shared by all.
 */
export function serveMcp(serving: Serving): McpService {
  const { surface, logger } = serving;
  const capabilities = {
    tools: { listChanged: true },
    ...(surface.resources.length > 0 ? { resources: { subscribe: true, listChanged: true } } : {}),
    ...(surface.prompts.size > 0 ? { prompts: {} } : {}),
    ...(surface.completers.size > 0 ? { completions: {} } : {}),
  };
  // Both eras can listen, the older one on a session's stream (ADR 33). Prompts change by a release alone.
  const options: ServerOptions = {
    capabilities,
    jsonSchemaValidator: NO_ELICITATION,
    cacheHints: {
      'server/discover': STATIC,
      'tools/list': STATIC,
      'prompts/list': STATIC,
      'resources/templates/list': STATIC,
      'resources/list': LIVE,
      'resources/read': LIVE,
    },
  };
  const templates = { resourceTemplates: surface.resourceTemplates };
  const makeServer = (era: 'modern' | 'legacy', profile: ToolProfile, own: ServerOptions = {}) => {
    const title = serving.bankName();
    const server = new Server(
      { name: `bankhouse-${serving.bank}`, title, version: serving.version },
      {
        ...options,
        ...own,
        instructions: `The bank "${title}". ${surface.instructions}${PROFILE_WORDS[profile]}`.trimEnd(),
      },
    );
    server.setRequestHandler('tools/list', async ({ params }, context) => {
      refuseCursor(params?.cursor);
      if (isVerifier(requestOf(context).caller) && (await serving.database.loginIsRefused())) throw loginRefused();
      return surface.tools.list(requestOf(context).profile);
    });
    server.setRequestHandler('tools/call', ({ params }, context) =>
      callTool(serving, params.name, params.arguments, context),
    );
    if (surface.resources.length > 0) {
      server.setRequestHandler('resources/templates/list', ({ params }) => {
        refuseCursor(params?.cursor);
        return templates;
      });
      server.setRequestHandler('resources/list', ({ params }, context) =>
        listResources(serving, params?.cursor, context),
      );
      server.setRequestHandler('resources/read', ({ params }, context) => readResource(serving, params.uri, context));
      if (era === 'legacy') {
        for (const method of ['resources/subscribe', 'resources/unsubscribe'] as const) {
          server.setRequestHandler(method, ({ params: { uri } }, context) =>
            changeWatched(serving, method, uri, context, () => readResource(serving, uri, context)),
          );
        }
      }
    }
    if (surface.prompts.size > 0) {
      server.setRequestHandler('prompts/list', ({ params }) => {
        refuseCursor(params?.cursor);
        return surface.promptList;
      });
      server.setRequestHandler('prompts/get', ({ params }, context) =>
        getPrompt(serving, params.name, params.arguments, context),
      );
    }
    if (surface.completers.size > 0) {
      server.setRequestHandler('completion/complete', ({ params }, context) =>
        answer(serving, context, 'completion/complete', (call) => completeArgument(surface.completers, params, call)),
      );
    }
    return server;
  };
  const factory: McpServerFactory = ({ era, authInfo }) => makeServer(era, requestedOf(authInfo)?.profile ?? 'full');
  const handler = createMcpHandler(factory, {
    legacy: 'stateless',
    maxSubscriptions: 0,
    onerror: (error) => logger.debug({ reason: messageOf(error) }, 'MCP request refused'),
  });
  const { changes, sessions } = serving;
  const tools = toolLists(serving);
  const listening = withSessions(withListening(handler, { factory, changes, tools, bank: serving.bank, logger }), {
    sessions,
    changes,
    tools,
    logger,
  });
  const direct = directCalls(
    () => makeServer('modern', 'full', { supportedProtocolVersions: [DIRECT_REVISION] }),
    (tool) => surface.tools.has(tool),
  );
  return {
    ...listening,
    direct,
    answering: (tool, args) => answering(surface.tools, tool, args),
    async close() {
      await Promise.all([direct.close(), listening.close()]);
    },
  };
}

/** By other tools, and by another profile for who follows the Bank's. */
function toolLists({ surface, bankProfile }: Serving): ToolLists {
  return {
    onChange(listener, { followsBank }) {
      const unlisten = surface.tools.onChange(listener);
      const unfollow = followsBank === true ? bankProfile?.onChange(listener) : undefined;
      return () => {
        unlisten();
        unfollow?.();
      };
    },
  };
}

/** Where the arguments name no tool, the call comes to nothing but a refusal in words. */
function answering(tools: ToolRegistry, name: string, args: unknown): string {
  const tool = tools.get(name);
  try {
    return tool === undefined ? name : tools.meant(tool, args).tool.name;
  } catch (error) {
    if (error instanceof ToolError) return name;
    throw error;
  }
}

/** The operator, which looks whether the bank works and may see none of its data. */
function isVerifier({ assertion }: Caller): boolean {
  return assertion.scopes.length === 1 && assertion.scopes[0] === 'mcp:verify';
}

/** Of lists that have one page, so that no cursor was given out. */
function refuseCursor(cursor: string | undefined): void {
  if (cursor === undefined || cursor === '') return;
  throw new ProtocolError(
    ProtocolErrorCode.InvalidParams,
    'The cursor is not one that this list gave: it has one page. Leave cursor out.',
  );
}

/** Clients get their lists in any case; the operator is told, because it can mend this. */
function loginRefused(): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InternalError, 'Postgres refuses the login of the bank.', {
    code: DATABASE_LOGIN_REFUSED,
  });
}

/** Where the next page begins: the provider's place in the list, and the cursor that it gave. */
const resourceCursors = cursorsOf('resources', z.tuple([z.int().min(0), z.string().nullable()]));

/** A page holds whole pages of providers, until it is full. */
async function listResources(
  serving: Serving,
  cursor: string | undefined,
  context: ServerContext,
): Promise<ListResourcesResult> {
  const { surface } = serving;
  return answer(serving, context, 'resources/list', async (call) => {
    let [index, inner] = cursor === undefined ? [0, null] : resourceCursors.decode(cursor, null);
    const resources: Resource[] = [];
    while (index < surface.resources.length && resources.length < LISTED_A_PAGE) {
      const page = await surface.resources[index]?.list(inner ?? undefined, call);
      resources.push(...(page?.resources ?? []));
      inner = page?.nextCursor ?? null;
      if (inner === null) index++;
    }
    const next: [number, string | null] = [index, inner];
    return {
      resources,
      ...(index < surface.resources.length ? { nextCursor: resourceCursors.encode(next, null) } : {}),
    };
  });
}

async function readResource(serving: Serving, uri: string, context: ServerContext): Promise<ReadResourceResult> {
  return answer(serving, context, 'resources/read', async (call) => {
    for (const provider of serving.surface.resources) {
      const contents = await provider.read(uri, call);
      if (contents !== undefined) return { contents: [contents] };
    }
    throw new ResourceNotFoundError(uri.slice(0, 512));
  });
}

async function getPrompt(
  serving: Serving,
  name: string,
  args: Record<string, string> | undefined,
  context: ServerContext,
): Promise<GetPromptResult> {
  const prompt = serving.surface.prompts.get(name);
  if (prompt === undefined) {
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `There is no prompt ${name.slice(0, 128)}; prompts/list names them.`,
    );
  }
  return answer(serving, context, 'prompts/get', (call) => fillPrompt(prompt, args, call));
}

/** Outside of tools a failure is a JSON-RPC error: -32602 where the request was wrong, -32603 where it can be sent again. */
async function answer<T>(
  serving: Serving,
  context: ServerContext,
  method: string,
  work: (call: CallContext) => Promise<T>,
): Promise<T> {
  const { caller, budget } = requestOf(context);
  const { signal } = context.mcpReq;
  try {
    budget?.check();
    const result = await inTransaction(serving, caller, signal, true, work);
    budget?.take(JSON.stringify(result).length);
    return result;
  } catch (error) {
    if (signal.aborted || error instanceof ProtocolError) throw error;
    const failure = asToolError(error);
    logFailure(serving.logger, failure, { rid: caller.assertion.rid, method });
    throw new ProtocolError(
      /^(invalid|not_found)/.test(failure.code) ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
      `${failure.code}: ${failure.message} ${failure.remedy}`,
      { code: failure.code, retryable: failure.retryable },
    );
  }
}
