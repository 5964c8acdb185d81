/**
 * JSON-RPC's error codes, and those of our own refusals, outside the range that MCP reserves (-32020 to -32099), but for -32020 itself: MCP
 * 2026-07-28, headers and body disagree or a header is missing.
 */
export const RPC = {
  parse: -32700,
  invalidRequest: -32600,
  internal: -32603,
  refused: -32000,
  unauthorized: -32001,
  forbidden: -32003,
  headers: -32020,
} as const;
