/** The protocol's own conformance suite, and the proxy that it needs, since it has no option for a token. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';

const SUITE = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'));
const RUN_LIMIT_MS = 240_000;

/** Revisions whose requirement sets are run. */
export const REVISIONS = ['2025-11-25', '2026-07-28'] as const;
export type Revision = (typeof REVISIONS)[number];

interface Check {
  id: string;
  status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO';
  errorMessage?: string;
}

/** What a scenario's checks came to. */
export interface Outcome {
  readonly passed: number;
  /** `id: message` of every check that failed. */
  readonly failures: readonly string[];
}

/** Names of the server scenarios that a revision requires. */
export function requiredScenarios(revision: Revision): string[] {
  return parse(readFileSync(join(SUITE, 'requirements', `${revision}.yaml`), 'utf8')).server;
}

/** Runs every scenario that the revision requires; gives the outcome of each, by name. */
export async function runRequirements(url: string, revision: Revision): Promise<Map<string, Outcome>> {
  const results = mkdtempSync(join(tmpdir(), 'bankhouse-conformance-'));
  try {
    // Exits with 1 when a scenario fails: which ones, the files say.
    await promisify(execFile)(
      process.execPath,
      [join(SUITE, 'dist/index.js'), ...['server', '--url', url, '--requirements', revision, '--output-dir', results]],
      { timeout: RUN_LIMIT_MS, maxBuffer: 64 * 1024 * 1024 },
    ).catch((error: { code?: unknown }) => {
      if (error.code !== 1) throw error;
    });
    return new Map(readdirSync(results).map((folder) => [scenarioOf(folder), outcomeOf(join(results, folder))]));
  } finally {
    rmSync(results, { recursive: true, force: true });
  }
}

/** `server-<scenario>-<instant>`. */
function scenarioOf(folder: string): string {
  return folder.replace(/^server-/, '').replace(/-\d{4}-\d{2}-\d{2}T.*$/, '');
}

function outcomeOf(folder: string): Outcome {
  const checks: Check[] = JSON.parse(readFileSync(join(folder, 'checks.json'), 'utf8'));
  return {
    passed: checks.filter(({ status }) => status === 'SUCCESS').length,
    failures: checks
      .filter(({ status }) => status === 'FAILURE')
      .map(({ id, errorMessage }) => `${id}: ${errorMessage ?? ''}`),
  };
}

/** In front of `target`: adds headers, made anew for each request, and keeps all else, Host and Origin too. */
export async function addingProxy(
  headers: () => Record<string, string> | Promise<Record<string, string>>,
): Promise<{ origin: string; target: string } & AsyncDisposable> {
  const state = { target: '' };
  const server: Server = createServer((request, response) => {
    const forward = async () => {
      const onward = httpRequest(
        new URL(request.url ?? '/', state.target),
        { method: request.method, headers: { ...request.headers, ...(await headers()) } },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          response.flushHeaders();
          answer.pipe(response);
        },
      );
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
    };
    forward().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}
