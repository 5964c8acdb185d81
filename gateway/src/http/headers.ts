import {
  ASSERTION_HEADER_PREFIX,
  CATALOGUE_HEADER,
  CATALOGUE_WANTED,
  DATABASE_ASSERTION_HEADER,
  MCP_HEADERS,
  POD_ASSERTION_HEADER,
} from '@bankhouse/core';

/** Meant for one connection only (RFC 9110 section 7.6.1), besides what `Connection` names. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/**
 * Request headers that end here: credentials, what the gateway says itself, and who the client is on the network.
 * `origin` has been checked, and a bank server has no list to check it against.
 */
const NOT_PASSED_ON = new Set([
  ...HOP_BY_HOP,
  'authorization',
  'cookie',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'origin',
  'via',
  'x-real-ip',
  'x-request-id',
]);

/** Headers of which a second one would mean that gateway and bank server might read different ones. */
const SINGLE: ReadonlySet<string> = new Set([
  'authorization',
  ...Object.values(MCP_HEADERS),
  'content-type',
  'content-encoding',
]);

/** Response headers that are a bank's to say. All others would speak for the front door, which all banks share. */
const ANSWER_HEADERS = new Set([
  'allow',
  'cache-control',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'retry-after',
  'server-timing',
  'vary',
  'x-accel-buffering',
]);

export interface RequestHeaders {
  /** Name, value, name, value …: what goes on to the bank server, names in lower case. */
  readonly passedOn: string[];
  /** The `SINGLE` ones among them: what may be decided by, since the bank server sees the same (G5). */
  readonly deciding: ReadonlyMap<string, string>;
  /** Names of `SINGLE` that came more than once. */
  readonly repeated: readonly string[];
}

/** Sorts a request's headers. @param raw name, value, name, value … as received */
export function sortRequestHeaders(raw: readonly string[]): RequestHeaders {
  const named = connectionTokens(raw);
  const passedOn: string[] = [];
  const deciding = new Map<string, string>();
  const seen = new Set<string>();
  const repeated: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (SINGLE.has(name)) {
      if (seen.has(name)) repeated.push(name);
      seen.add(name);
    }
    if (NOT_PASSED_ON.has(name) || named.has(name) || isReserved(name)) continue;
    const value = raw[i + 1] ?? '';
    passedOn.push(name, value);
    if (SINGLE.has(name)) deciding.set(name, value);
  }
  return { passedOn, deciding, repeated };
}

/** Ours, the network's, and what a server that reads `_` as `-` (as CGI does) would take for one that is decided by. */
function isReserved(name: string): boolean {
  if (name.startsWith(ASSERTION_HEADER_PREFIX) || name.startsWith('x-forwarded-')) return true;
  if (!name.includes('_')) return false;
  const dashed = name.replaceAll('_', '-');
  return dashed.startsWith(ASSERTION_HEADER_PREFIX) || dashed.startsWith('x-forwarded-') || SINGLE.has(dashed);
}

const NO_TOKENS: ReadonlySet<string> = new Set();

/** What `Connection` names, however often it came: it ends here (RFC 9110 section 7.6.1). */
function connectionTokens(raw: readonly string[]): ReadonlySet<string> {
  let tokens: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const value = raw[i + 1];
    if (
      raw[i]?.length !== 10 ||
      raw[i]?.toLowerCase() !== 'connection' ||
      value === 'keep-alive' ||
      value === 'close'
    ) {
      continue;
    }
    tokens ??= new Set();
    for (const token of (value ?? '').split(',')) tokens.add(token.trim().toLowerCase());
  }
  return tokens ?? NO_TOKENS;
}

/** What the gateway adds for the bank server. */
export function gatewayHeaders(options: { sealed: { pod: string; database: string }; requestId: string }): string[] {
  return [
    POD_ASSERTION_HEADER,
    options.sealed.pod,
    DATABASE_ASSERTION_HEADER,
    options.sealed.database,
    'x-request-id',
    options.requestId,
    CATALOGUE_HEADER,
    CATALOGUE_WANTED,
  ];
}

/** The headers of a bank server's answer that go to the client. */
export function answerHeaders(headers: NodeJS.Dict<string | string[]>): Record<string, string | string[]> {
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && (ANSWER_HEADERS.has(name) || name.startsWith('mcp-'))) passed[name] = value;
  }
  return passed;
}

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,64}$/;

/** The client's request id where it is harmless in logs and headers, else a new one. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}
