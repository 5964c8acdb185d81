/** Which browser origins may call (MCP: a server checks `Origin` and answers 403), and what browsers are told (Fetch, CORS). */

const EXPOSED = 'WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, X-Request-Id';
const PREFLIGHT_SECONDS = '600';
const HEADER_LIST = /^[A-Za-z0-9, _-]{1,1024}$/;

export class Origins {
  private readonly allowed: ReadonlySet<string>;

  constructor(frontDoor: string, allowed: readonly string[]) {
    this.allowed = new Set([frontDoor, ...allowed]);
  }

  /** A client that is no browser sends none. `null` (a sandboxed page, a file) is nobody's. */
  isAllowed(origin: string | undefined): boolean {
    return origin === undefined || this.allowed.has(origin);
  }
}

/** Headers on every answer to an allowed origin. */
export function corsHeaders(origin: string | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED, vary: 'Origin' };
}

/** Answer to a preflight; `Mcp-Param-*` headers have names that nobody can list, so what is asked for is allowed. */
export function preflightHeaders(methods: string, requestedHeaders: string | undefined): Record<string, string> {
  return {
    'access-control-allow-methods': methods,
    ...(requestedHeaders !== undefined && HEADER_LIST.test(requestedHeaders)
      ? { 'access-control-allow-headers': requestedHeaders }
      : {}),
    'access-control-max-age': PREFLIGHT_SECONDS,
  };
}

/** The metadata document is public: any page may read it. */
export const PUBLIC_CORS = { 'access-control-allow-origin': '*' } as const;
