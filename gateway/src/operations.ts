import {
  BATCH_MAX_MESSAGES,
  BankhouseError,
  field,
  JSON_MAX_DEPTH,
  JSON_MAX_VALUES,
  jsonWithinBounds,
  type Operation,
  RPC,
  SESSION_OPERATION,
} from '@bankhouse/core';

/** A request that says too little or nonsense; answered by 400 with the JSON-RPC error code. */
export class RequestError extends BankhouseError {
  readonly rpcCode: number;

  constructor(code: string, rpcCode: number, message: string) {
    super(code, message);
    this.name = 'RequestError';
    this.rpcCode = rpcCode;
  }
}

/** The operation that a 2026-07-28 request names in its headers. @throws RequestError */
export function operationOfHeaders(headers: { method: string | undefined; name: string | undefined }): Operation {
  const { method } = headers;
  if (method === undefined || !/^[A-Za-z0-9_$./-]{1,128}$/.test(method)) {
    throw new RequestError('mcp_method_header', RPC.headers, 'Send the method once in the Mcp-Method header.');
  }
  if (method !== 'tools/call') return { method, tool: undefined };
  const tool = headers.name === undefined ? undefined : decodeHeaderValue(headers.name);
  if (tool === undefined || tool === '' || tool.length > 256) {
    throw new RequestError('mcp_name_header', RPC.headers, "Send the tool's name once in the Mcp-Name header.");
  }
  return { method, tool };
}

/** `=?base64?…?=` is a UTF-8 value that is unsafe in a header (MCP 2026-07-28); undefined where it is broken. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!value.startsWith('=?')) return value;
  const encoded = /^=\?base64\?([A-Za-z0-9+/]+={0,2})\?=$/i.exec(value)?.[1];
  if (encoded === undefined || encoded.length % 4 !== 0) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}

/** The operations in a body of the older revisions: one message, or a batch. @throws RequestError */
export function operationsOfBody(body: Uint8Array): Operation[] {
  const parsed = parseBody(body);
  const messages: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (messages.length === 0 || messages.length > BATCH_MAX_MESSAGES) {
    throw new RequestError('batch_size', RPC.invalidRequest, `A batch has 1 to ${BATCH_MAX_MESSAGES} messages.`);
  }
  return messages.map(operationOfMessage);
}

/** A `tools/call` that the headers say, with the tools that its arguments name in the body. @throws RequestError */
export function withNamed(operation: Operation, body: Uint8Array): Operation {
  return { ...operation, ...namedIn(field(parseBody(body), 'params', 'arguments')) };
}

/** @throws RequestError */
function parseBody(body: Uint8Array): unknown {
  const bounds = jsonWithinBounds(body);
  if (bounds === 'too_deep') {
    throw new RequestError('body_too_deep', RPC.invalidRequest, `The body nests deeper than ${JSON_MAX_DEPTH}.`);
  }
  if (bounds === 'too_many') {
    throw new RequestError('body_too_many', RPC.invalidRequest, `The body has more than ${JSON_MAX_VALUES} values.`);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new RequestError('body_not_json', RPC.parse, 'The body is not JSON; send one JSON-RPC message.');
  }
}

function operationOfMessage(message: unknown): Operation {
  if (!isRecord(message)) throw notAMessage();
  const { method, params } = message;
  if (method === undefined && ('result' in message || 'error' in message)) return SESSION_OPERATION;
  if (typeof method !== 'string' || method === '') throw notAMessage();
  if (method !== 'tools/call') return { method, tool: undefined };
  const tool = isRecord(params) ? params.name : undefined;
  if (typeof tool !== 'string' || tool === '') {
    throw new RequestError('tool_name', RPC.invalidRequest, 'A tools/call needs the name of a tool in params.name.');
  }
  return { method, tool, ...namedIn(isRecord(params) ? params.arguments : undefined) };
}

/** A bank server forwards no call more often. */
const MAX_NAMED = 4;
const MAX_NAME = 256;

/** As `call_tool` has it: `{name, arguments}`. What is said in other words only the bank server understands. */
function namedIn(args: unknown): Pick<Operation, 'named'> {
  const named: string[] = [];
  for (let inner = args; named.length < MAX_NAMED && isRecord(inner); inner = inner.arguments) {
    if (typeof inner.name !== 'string' || inner.name.length > MAX_NAME) break;
    named.push(inner.name);
  }
  return named.length === 0 ? {} : { named };
}

function notAMessage(): RequestError {
  return new RequestError(
    'message_form',
    RPC.invalidRequest,
    'The body is not a JSON-RPC 2.0 message or a batch of them.',
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
