import { allows, type Logger, MCP_HEADERS, MODERN_REVISION, messageOf } from '@bankhouse/core';
import {
  type McpHttpHandler,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { type Changes, isWatchable } from '../changes/index.ts';
import type { Sessions } from '../sessions/index.ts';
import {
  asToolError,
  logFailure,
  type Requested,
  requestedOf,
  requestOf,
  type Serving,
  type ToolLists,
  toAuthInfo,
} from './serving.ts';
import { EventStream } from './session-stream.ts';
import type { ToolError } from './tool-error.ts';

export const SESSION_HEADER = 'mcp-session-id';
const LAST_EVENT_HEADER = 'last-event-id';
/** The first revision whose clients take an event with an id and no data, to come back to. */
const BARE_IDS_SINCE = '2025-11-25';

export interface SessionOptions {
  readonly sessions: Sessions;
  readonly changes: Pick<Changes, 'openSession'>;
  readonly tools: ToolLists;
  readonly logger: Logger;
}

interface InSession {
  readonly request: Request;
  readonly requested: Requested;
  readonly session: string;
}

/**
 * Sessions of 2025-11-25 and before around the SDK's handler, which serves each message by itself (ADR 33): initialize gives an id, GET
 * streams, DELETE ends. Without an id everything is as without sessions, but that there is nothing to listen to.
 */
export function withSessions(main: McpHttpHandler, options: SessionOptions): McpHttpHandler {
  const open = new Set<EventStream>();
  return {
    ...main,
    async fetch(request, given) {
      const requested = requestedOf(given?.authInfo);
      if (requested === undefined || request.headers.get(MCP_HEADERS.revision) === MODERN_REVISION) {
        return main.fetch(request, given);
      }
      if (isInitialize(given?.parsedBody)) {
        return withSessionId(await main.fetch(request, given), options.sessions.begin(requested.caller));
      }
      const id = request.headers.get(SESSION_HEADER);
      if (id === null) return main.fetch(request, given);
      const session = options.sessions.open(id, requested.caller);
      if (session === undefined) return notFound(given?.parsedBody);
      const inSession = { request, requested, session };
      switch (request.method) {
        case 'GET':
          return mayListen(requested) ? listen(options, open, inSession) : main.fetch(request, given);
        case 'DELETE':
          return end(options, inSession);
        default:
          if (await isKnownOver(options, inSession)) return notFound(given?.parsedBody);
          return main.fetch(request, { ...given, authInfo: toAuthInfo({ ...requested, session }) });
      }
    },
    async close() {
      for (const stream of open) stream.end();
      await main.close();
    },
  };
}

/**
 * Watches a URI, or doesn't any more. A resource that is no row of the bank's never changes, so there is nothing to keep of it.
 *
 * @param read of whatever the URI names; rejects where there is nothing
 * @throws ProtocolError
 */
export async function changeWatched(
  { bank, sessions, logger }: Serving,
  method: 'resources/subscribe' | 'resources/unsubscribe',
  uri: string,
  context: ServerContext,
  read: () => Promise<unknown>,
): Promise<Record<string, never>> {
  const { session, caller } = requestOf(context);
  const { signal } = context.mcpReq;
  if (session === undefined) {
    throw invalid('Subscriptions are of a session: send the Mcp-Session-Id that the answer to initialize had.');
  }
  if (!isWatchable(uri, bank)) {
    if (!uri.startsWith('bankhouse:')) {
      await read();
      return {};
    }
    throw invalid(`Changes of ${uri.slice(0, 200)} are not told; those of bankhouse://${bank}/<kind>[/<id>] are.`);
  }
  let state: 'watched' | 'unwatched' | 'full' | 'over';
  try {
    state =
      method === 'resources/subscribe'
        ? await sessions.watch(session, uri, caller, signal)
        : await sessions.unwatch(session, uri, caller, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    const failure = asToolError(error);
    logFailure(logger, failure, { rid: caller.assertion.rid, method });
    throw new ProtocolError(ProtocolErrorCode.InternalError, wordsOf(failure), dataOf(failure));
  }
  if (state === 'full') throw invalid('The session watches as many URIs as it can. Watch lists instead of rows.');
  if (state === 'over') throw invalid('The session is over. Begin another one by initialize.');
  return {};
}

/** Not by a gateway from before, which seals less for a GET; nor for a token that may not read. */
function mayListen({ caller: { assertion } }: Requested): boolean {
  return assertion.access === undefined || allows(assertion.access, 'read');
}

/** Only before what needs the database anyway: a handshake and lists don't. Where the database fails, the message itself says so. */
async function isKnownOver(
  { sessions, logger }: SessionOptions,
  { request, requested, session }: InSession,
): Promise<boolean> {
  const { caller } = requested;
  if (caller.assertion.access === 'none' && !sessions.isKnownOver(session)) return false;
  try {
    return await sessions.isOver(session, caller, request.signal);
  } catch (error) {
    logger.debug({ rid: caller.assertion.rid, reason: messageOf(error) }, 'session not looked up');
    return false;
  }
}

async function listen(
  { changes, sessions, tools, logger }: SessionOptions,
  open: Set<EventStream>,
  { request, requested, session }: InSession,
): Promise<Response> {
  const { caller } = requested;
  const { rid } = caller.assertion;
  const { headers, signal } = request;
  if (!/(^|[,\s])(text\/event-stream|text\/\*|\*\/\*)/i.test(headers.get('accept') ?? '')) {
    return errorResponse(406, 'A stream is answered as text/event-stream; accept it.', { code: 'accept' });
  }
  const lastEvent = headers.get(LAST_EVENT_HEADER);
  const from = lastEvent === null ? undefined : sessions.placeOf(session, lastEvent);
  if (lastEvent !== null && from === undefined) {
    return errorResponse(400, 'Last-Event-ID is not one that a stream of this session gave. Leave it out.', {
      code: 'last_event_id',
    });
  }
  let events: EventStream | undefined;
  try {
    const stream = await changes.openSession(caller, session, from, signal, {
      onNotice: () => events?.ring(),
      onEnd(reason) {
        logger.info({ rid, reason }, 'stream ended');
        events?.end();
      },
    });
    if (stream === undefined) return notFound(undefined);
    const opened: EventStream = new EventStream({
      stream,
      takesBareIds: takesBareIds(headers.get(MCP_HEADERS.revision)),
      eventId: () => (stream.place === undefined ? undefined : sessions.eventId(session, stream.place)),
      onGone() {
        unlisten();
        stream.close();
        open.delete(opened);
      },
    });
    const unlisten = tools.onChange(() => opened.hearOfTools(), requested);
    events = opened;
    open.add(opened);
    signal.addEventListener('abort', () => opened.leave());
    logger.info({ rid, resumed: from !== undefined }, 'stream opened');
    return new Response(opened.body, {
      headers: {
        'content-type': 'text/event-stream',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
        [SESSION_HEADER]: headers.get(SESSION_HEADER) ?? '',
      },
    });
  } catch (error) {
    return failed(error, { logger, rid, method: 'GET' });
  }
}

async function end(
  { sessions, logger }: SessionOptions,
  { request, requested, session }: InSession,
): Promise<Response> {
  const { caller } = requested;
  try {
    if (await sessions.isOver(session, caller, request.signal)) return notFound(undefined);
    await sessions.end(session, caller, request.signal);
    return new Response(null, { status: 204 });
  } catch (error) {
    return failed(error, { logger, rid: caller.assertion.rid, method: 'DELETE' });
  }
}

function takesBareIds(revision: string | null): boolean {
  return revision !== null && /^\d{4}-\d\d-\d\d$/.test(revision) && revision >= BARE_IDS_SINCE;
}

function isInitialize(body: unknown): boolean {
  return (body as { method?: unknown } | null | undefined)?.method === 'initialize';
}

function withSessionId(response: Response, id: string): Response {
  if (!response.ok) return response;
  const headers = new Headers(response.headers);
  headers.set(SESSION_HEADER, id);
  return new Response(response.body, { status: response.status, headers });
}

/** As MCP has it: the client begins another session. It is the same whether an id is another's, made up, or over. */
function notFound(body: unknown): Response {
  const id = (body as { id?: unknown } | null | undefined)?.id;
  return errorResponse(
    404,
    'There is no such session. Begin one by initialize, without Mcp-Session-Id.',
    { code: 'session_unknown' },
    typeof id === 'string' || typeof id === 'number' ? id : null,
  );
}

function failed(error: unknown, { logger, rid, method }: { logger: Logger; rid: string; method: string }): Response {
  const failure = asToolError(error);
  logFailure(logger, failure, { rid, method });
  return errorResponse(failure.retryable ? 503 : 500, wordsOf(failure), dataOf(failure));
}

function errorResponse(status: number, message: string, data: object, id: string | number | null = null): Response {
  return Response.json(
    { jsonrpc: '2.0', id, error: { code: ProtocolErrorCode.InvalidRequest, message, data } },
    { status },
  );
}

function invalid(message: string): ProtocolError {
  return new ProtocolError(ProtocolErrorCode.InvalidParams, message);
}

function wordsOf({ code, message, remedy }: ToolError): string {
  return `${code}: ${message} ${remedy}`;
}

function dataOf({ code, retryable }: ToolError): { code: string; retryable: boolean } {
  return { code, retryable };
}
