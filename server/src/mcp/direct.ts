import type { IncomingHttpHeaders } from 'node:http';
import { MCP_HEADERS, MODERN_REVISION } from '@bankhouse/core';
import {
  type AuthInfo,
  classifyInboundRequest,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type JSONRPCResponse,
  type MessageClassification,
  PerRequestHTTPServerTransport,
  type RequestId,
  type Server,
} from '@modelcontextprotocol/server';

/** The revision that is served directly. */
export const DIRECT_REVISION = MODERN_REVISION;

const CLASSIFICATION: MessageClassification = { era: 'modern', revision: DIRECT_REVISION };

export interface DirectCall {
  /** Undefined once it is cancelled: there is nobody to answer. */
  readonly answer: Promise<JSONRPCResponse | undefined>;
  /** The client went away: aborts this call's handler, and no other's. */
  cancel(): void;
}

/** One SDK Server that runs the calls of all callers, for what needs no stream and no judgement (ADR 15). */
export interface DirectCalls {
  /** Undefined for what must go through the SDK's handler; nothing of it has run then. */
  open(headers: IncomingHttpHeaders, body: unknown, authInfo: AuthInfo): DirectCall | undefined;
  /** Aborts what still runs, and takes nothing more. */
  close(): Promise<void>;
}

/**
 * @param makeServer makes a Server that supports `DIRECT_REVISION` and keeps nothing of a caller; asked at the first call, to keep the
 *   start short
 * @param takes whether a tool of this name is there
 */
export function directCalls(makeServer: () => Server, takes: (tool: string) => boolean): DirectCalls {
  let line: DirectLine | undefined;
  let closed = false;
  const connected = () => {
    if (line === undefined) {
      line = new DirectLine();
      // Resolves at once, as the transport has nothing to start.
      void makeServer().connect(line);
    }
    return line;
  };
  return {
    open(headers, body, authInfo) {
      const request = closed ? undefined : asPlainCall(headers, body, takes);
      return request === undefined ? undefined : connected().open(request, authInfo);
    },
    async close() {
      closed = true;
      await line?.close();
    },
  };
}

/**
 * A tool call of which the SDK says that it is well-formed and modern, and whose headers say literally what its body says, so that
 * no rule of the protocol is left to judge. Whatever else there may be goes to the SDK's handler, which serves or refuses it.
 */
function asPlainCall(
  headers: IncomingHttpHeaders,
  body: unknown,
  takes: (tool: string) => boolean,
): JSONRPCRequest | undefined {
  const tool = headers[MCP_HEADERS.name];
  if (headers[MCP_HEADERS.revision] !== DIRECT_REVISION || headers[MCP_HEADERS.method] !== 'tools/call')
    return undefined;
  if (typeof tool !== 'string' || !takes(tool)) return undefined;
  const route = classifyInboundRequest({
    httpMethod: 'POST',
    protocolVersionHeader: DIRECT_REVISION,
    mcpMethodHeader: 'tools/call',
    mcpNameHeader: tool,
    body,
  });
  if (route.kind !== 'modern' || route.messageKind !== 'request') return undefined;
  if (route.classification.revision !== DIRECT_REVISION || route.message.params?.name !== tool) return undefined;
  return route.message;
}

/**
 * Carries the calls of all callers to one Server. Of the SDK's transport it takes what binds a Server to the revision; that one's
 * way of serving is for a single exchange. Each call has a number of its own, never given twice, in place of the id that its
 * client chose, and its caller goes with it: so two calls can't meet, whatever their clients send.
 */
class DirectLine extends PerRequestHTTPServerTransport {
  readonly #open = new Map<RequestId, (answer: JSONRPCResponse | undefined) => void>();
  #last = 0;

  constructor() {
    super({ classification: CLASSIFICATION });
  }

  open(request: JSONRPCRequest, authInfo: AuthInfo): DirectCall {
    const id = ++this.#last;
    const { promise, resolve } = Promise.withResolvers<JSONRPCResponse | undefined>();
    this.#open.set(id, (answer) => resolve(answer === undefined ? undefined : { ...answer, id: request.id }));
    this.onmessage?.({ ...request, id }, { classification: CLASSIFICATION, authInfo });
    return {
      answer: promise,
      cancel: () => {
        if (!this.#settle(id, undefined)) return;
        const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } } as const;
        this.onmessage?.(cancelled, { classification: CLASSIFICATION });
      },
    };
  }

  override async send(message: JSONRPCMessage): Promise<void> {
    if (!isAnswer(message)) throw new Error('A direct call has an answer and no stream.');
    if (message.id !== undefined) this.#settle(message.id, message);
  }

  override async close(): Promise<void> {
    for (const id of this.#open.keys()) this.#settle(id, undefined);
    await super.close();
  }

  #settle(id: RequestId, answer: JSONRPCResponse | undefined): boolean {
    const settle = this.#open.get(id);
    this.#open.delete(id);
    settle?.(answer);
    return settle !== undefined;
  }
}

function isAnswer(message: JSONRPCMessage): message is JSONRPCResponse {
  return 'result' in message || 'error' in message;
}
