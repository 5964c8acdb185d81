/** What of MCP's Streamable HTTP transport stands in more than one process. */

/** The revision whose headers say what a request does, and whose bank server compares them with the body (`RPC.headers`). */
export const MODERN_REVISION = '2026-07-28';

/** Names of its headers, in lower case as Node gives them. */
export const MCP_HEADERS = {
  revision: 'mcp-protocol-version',
  method: 'mcp-method',
  /** Of the tool, prompt or resource. */
  name: 'mcp-name',
} as const;
