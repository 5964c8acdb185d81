import { type Logger, messageOf } from '@bankhouse/core';
import {
  createMcpHandler,
  type McpHandlerRequestOptions,
  type McpHttpHandler,
  type McpServerFactory,
  ProtocolErrorCode,
  type ServerEvent,
  type ServerEventBus,
} from '@modelcontextprotocol/server';
import { type ChangeStream, type Changes, isWatchable, type Notice, type Wish } from '../changes/index.ts';
import { type Requested, requestedOf, type ToolLists } from './serving.ts';
import { ToolError } from './tool-error.ts';

export interface Listening {
  readonly factory: McpServerFactory;
  readonly changes: Pick<Changes, 'open'>;
  readonly tools: ToolLists;
  readonly bank: string;
  readonly logger: Logger;
}

/**
 * `subscriptions/listen` (MCP 2026-07-28) on top of the SDK's handler. The SDK's router hands one bus to all streams, without who
 * listens; here every stream has a handler and a bus of its own, so that it hears what its caller may, can be ended alone with the
 * result that the protocol wants, and is fed at the pace of its client.
 */
export function withListening(main: McpHttpHandler, listening: Listening): McpHttpHandler {
  const open = new Set<LiveStream>();
  return {
    ...main,
    async fetch(request, options) {
      const listen = asListen(options?.parsedBody, listening.bank);
      const requested = requestedOf(options?.authInfo);
      if (listen === undefined || requested === undefined) return main.fetch(request, options);
      const stream = new LiveStream(listening, () => open.delete(stream));
      open.add(stream);
      return stream.serve(request, { ...options, parsedBody: listen.body }, listen.id, requested);
    },
    async close() {
      for (const stream of open) stream.end();
      await main.close();
    },
  };
}

/** One stream, until its client or its end is there. */
class LiveStream {
  readonly #listening: Listening;
  readonly #bus = new StreamBus();
  readonly #handler: McpHttpHandler;
  readonly #onGone: () => void;
  #changes: ChangeStream | undefined;
  /** Lists show other tools than the client was told of. */
  #toolsChanged = false;
  /** The client has taken all that was sent, and waits. */
  #hungry = false;

  constructor(listening: Listening, onGone: () => void) {
    this.#listening = listening;
    this.#onGone = onGone;
    const { factory, logger } = listening;
    this.#handler = createMcpHandler(factory, {
      legacy: 'stateless',
      bus: this.#bus,
      onerror: (error) => logger.debug({ reason: messageOf(error) }, 'MCP request refused'),
    });
  }

  async serve(
    request: Request,
    options: McpHandlerRequestOptions,
    id: string | number,
    requested: Requested,
  ): Promise<Response> {
    // Nothing of this answer is sent before the feed is open, so nothing that changes after the acknowledgement is missed.
    const response = await this.#handler.fetch(request, options);
    const wish = this.#bus.isSubscribed ? wishOf(options.parsedBody) : undefined;
    if (wish === undefined || response.body === null) {
      this.#onGone();
      return response;
    }
    const { logger, changes } = this.#listening;
    const { caller } = requested;
    const { rid } = caller.assertion;
    try {
      const stream = await changes.open(caller, wish, request.signal, {
        onNotice: () => this.#feed(),
        onEnd: (reason) => {
          logger.info({ rid, reason }, 'stream ended');
          this.end();
        },
      });
      this.#changes = stream;
      const unlisten = wish.tools ? this.#listening.tools.onChange(() => this.#hearOfTools(), requested) : () => {};
      this.#bus.whenUnsubscribed(() => {
        unlisten();
        stream.close();
        this.#onGone();
      });
    } catch (error) {
      await this.#handler.close();
      await response.body.cancel();
      this.#onGone();
      return refusal(id, error, logger, rid);
    }
    logger.info({ rid, uris: wish.uris.length, lists: wish.lists, tools: wish.tools }, 'stream opened');
    return new Response(this.#paced(response.body), { status: response.status, headers: response.headers });
  }

  /** Tells what is left to tell, then ends the stream as the protocol wants it: with the result of the request. */
  end(): void {
    while (this.#tellNext());
    void this.#handler.close();
  }

  #feed(): void {
    if (this.#hungry && this.#tellNext()) this.#hungry = false;
  }

  #hearOfTools(): void {
    this.#toolsChanged = true;
    this.#feed();
  }

  #tellNext(): boolean {
    if (this.#toolsChanged) {
      this.#toolsChanged = false;
      this.#bus.publish({ kind: 'tools_list_changed' });
      return true;
    }
    const notice = this.#changes?.take();
    if (notice === undefined) return false;
    this.#bus.publish(eventOf(notice));
    return true;
  }

  /** The SDK queues without end what is published; so one notice at most is, for each piece that the client takes. */
  #paced(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        this.#hungry = !this.#tellNext();
        const { done, value } = await reader.read();
        this.#hungry = false;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }
}

/** The bus of one stream. */
class StreamBus implements ServerEventBus {
  #listener: ((event: ServerEvent) => void) | undefined;
  #onUnsubscribed: (() => void) | undefined;

  get isSubscribed(): boolean {
    return this.#listener !== undefined;
  }

  publish(event: ServerEvent): void {
    this.#listener?.(event);
  }

  subscribe(listener: (event: ServerEvent) => void): () => void {
    this.#listener = listener;
    return () => {
      if (this.#listener === undefined) return;
      this.#listener = undefined;
      this.#onUnsubscribed?.();
    };
  }

  /** Calls `then` when the SDK has let the stream go, at once if it has already. */
  whenUnsubscribed(then: () => void): void {
    if (this.isSubscribed) this.#onUnsubscribed = then;
    else then();
  }
}

function eventOf(notice: Notice): ServerEvent {
  return notice.kind === 'updated' ? { kind: 'resource_updated', uri: notice.uri } : { kind: 'resources_list_changed' };
}

type Json = Record<string, unknown>;

/**
 * A request to listen, with those URIs alone that can change: the acknowledgement then names what is really watched. The SDK
 * checks everything else about it.
 */
function asListen(body: unknown, bank: string): { id: string | number; body: Json } | undefined {
  if (!isObject(body) || body.method !== 'subscriptions/listen') return undefined;
  const { id, params } = body;
  if (typeof id !== 'string' && typeof id !== 'number') return undefined;
  const notifications = isObject(params) ? params.notifications : undefined;
  if (!isObject(params) || !isObject(notifications)) return { id, body };
  const asked = notifications.resourceSubscriptions;
  if (!Array.isArray(asked)) return { id, body };
  const watched = [...new Set(asked)].filter((uri) => typeof uri !== 'string' || isWatchable(uri, bank));
  return {
    id,
    body: { ...body, params: { ...params, notifications: { ...notifications, resourceSubscriptions: watched } } },
  };
}

/** Of a request that the SDK has taken. */
function wishOf(body: unknown): Wish & { readonly tools: boolean } {
  const params = isObject(body) && isObject(body.params) ? body.params : {};
  const { resourceSubscriptions, resourcesListChanged, toolsListChanged } = params.notifications as Json;
  return {
    uris: (resourceSubscriptions as string[] | undefined) ?? [],
    lists: resourcesListChanged === true,
    tools: toolsListChanged === true,
  };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Refused as the SDK refuses a stream: a JSON-RPC error in place of the acknowledgement. */
function refusal(id: string | number, error: unknown, logger: Logger, rid: string): Response {
  const failure =
    error instanceof ToolError
      ? error
      : new ToolError('internal', 'The stream failed for a reason that is not yours.', 'Report the request id.');
  if (failure.code === 'internal') logger.error({ rid, reason: messageOf(error) }, 'stream failed');
  else logger.info({ rid, code: failure.code }, 'stream refused');
  return Response.json({
    jsonrpc: '2.0',
    id,
    error: {
      code: failure.code.startsWith('invalid') ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
      message: `${failure.code}: ${failure.message} ${failure.remedy}`,
      data: { code: failure.code, retryable: failure.retryable },
    },
  });
}
