/** A tool call as bytes on a kept-alive connection: measures the platform, not a client library. */
import { readFileSync } from 'node:fs';
import { MCP_HEADERS, MODERN_REVISION } from '@bankhouse/core';
import { Pool } from 'undici';

/** `legacy`: 2025-11-25, whose headers say nothing of the call. */
export type Era = 'modern' | 'legacy';
const LEGACY_REVISION = '2025-11-25';

/** A call that takes longer has failed. */
const ANSWER_LIMIT_MS = 30_000;

export interface Wire {
  /** One tool call. @throws when the answer is not a result, or a tool error */
  call(tool: string, args: Record<string, unknown>): Promise<void>;
  /** The same, with the structured content of the answer. */
  ask(tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** @param headers added to every request: a bearer token, or sealed assertions */
export function openWire(
  url: string,
  headers: () => Record<string, string>,
  options: { connections: number; caFile?: string; era?: Era },
): Wire {
  const { era = 'modern' } = options;
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, {
    headersTimeout: ANSWER_LIMIT_MS,
    connections: options.connections,
    ...(options.caFile === undefined ? {} : { connect: { ca: readFileSync(options.caFile) } }),
  });
  let id = 0;
  const post = async (tool: string, args: Record<string, unknown>): Promise<string> => {
    const answer = await pool.request({
      path: pathname,
      method: 'POST',
      headers: {
        ...headers(),
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...headersOf(era, tool),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: ++id,
        method: 'tools/call',
        params: {
          name: tool,
          arguments: args,
          ...(era === 'modern' ? { _meta: META } : {}),
        },
      }),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200 || !text.includes('"result"') || text.includes('"isError":true')) {
      throw new Error(`${tool}: ${answer.statusCode} ${text.slice(0, 300)}`);
    }
    return text;
  };
  return {
    async call(tool, args) {
      await post(tool, args);
    },
    async ask(tool, args) {
      const { result } = JSON.parse(await post(tool, args)) as {
        result: { structuredContent: Record<string, unknown> };
      };
      return result.structuredContent;
    },
    close: () => pool.close(),
  };
}

const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN_REVISION,
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

function headersOf(era: Era, tool: string): Record<string, string> {
  if (era === 'legacy') return { [MCP_HEADERS.revision]: LEGACY_REVISION };
  return {
    [MCP_HEADERS.revision]: MODERN_REVISION,
    [MCP_HEADERS.method]: 'tools/call',
    [MCP_HEADERS.name]: tool,
  };
}
