import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, deriveSealKey, sealAssertion } from '@bankhouse/core';
import { loadServerConfig, startBankServer } from '@bankhouse/server';
import { removeFolder } from '../../../harness/at-end.ts';
import { assertionFor } from '../../../harness/postgres.ts';
import { type Cluster, pathsOf } from './cluster.ts';

const MODERN = '2026-07-28';

/** What a tool answered. */
export interface ToolAnswer {
  isError: boolean;
  structured: Record<string, unknown>;
  error: { code?: string; retryable?: boolean; retryAfterSeconds?: number } | undefined;
  /** The header. */
  retryAfter: string | null;
}

/** The real server of a bank, in this process, with the bank's Secret as its pod has it mounted. */
export interface BankPod extends AsyncDisposable {
  readonly logs: string[];
  call(tool: string, args: Record<string, unknown>): Promise<ToolAnswer>;
  /** What the kubelet does a minute later. */
  readSecret(): Promise<void>;
}

export async function startBankPod(cluster: Cluster, id: string, uid: string, root: Uint8Array): Promise<BankPod> {
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-pod-'));
  const readSecret = async () => {
    const path = `${pathsOf(id).secrets}/bank-${id}`;
    const { data } = await cluster.get<{ data: Record<string, string> }>(path);
    for (const [name, value] of Object.entries(data)) {
      writeFileSync(join(dir, `.${name}`), Buffer.from(value, 'base64'));
      renameSync(join(dir, `.${name}`), join(dir, name));
    }
  };
  await readSecret();
  const logs: string[] = [];
  const destination = { write: (line: string) => void logs.push(line) };
  const logger = createLogger({ component: 'server', level: 'debug', destination });
  const config = loadServerConfig({ BANK_ID: id, SECRET_DIR: dir, PORT: '0' });
  const server = await startBankServer(config, logger);
  const keys = {
    'bankhouse-assertion': deriveSealKey(root, 'pod', id, uid, 1),
    'bankhouse-database-assertion': deriveSealKey(root, 'database', id, uid, 1),
  };
  return {
    logs,
    readSecret,
    async call(tool, args) {
      const assertion = assertionFor(id, { scopes: ['mcp:read', 'mcp:write'] });
      const seals = Object.entries(keys).map(([name, key]) => [name, sealAssertion(assertion, key, 1)]);
      const answer = await fetch(`http://127.0.0.1:${server.port}/mcp/bank-${id}`, {
        method: 'POST',
        headers: {
          ...(Object.fromEntries(seals) as Record<string, string>),
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': MODERN,
          'mcp-method': 'tools/call',
          'mcp-name': tool,
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: {
            name: tool,
            arguments: args,
            _meta: {
              'io.modelcontextprotocol/protocolVersion': MODERN,
              'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
              'io.modelcontextprotocol/clientCapabilities': {},
            },
          },
        }),
      });
      const text = await answer.text();
      const { result } = JSON.parse(text) as {
        result?: {
          isError?: boolean;
          structuredContent?: Record<string, unknown>;
          _meta?: Record<string, ToolAnswer['error']>;
        };
      };
      if (result === undefined) throw new Error(`${answer.status}: ${text}`);
      return {
        isError: result.isError === true,
        structured: result.structuredContent ?? {},
        error: result._meta?.['bankhouse.dev/error'],
        retryAfter: answer.headers.get('retry-after'),
      };
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      removeFolder(dir);
    },
  };
}
