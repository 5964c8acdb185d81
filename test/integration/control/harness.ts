/** control as a process of this one: real HTTP, real Postgres, keys made for the test. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { configSchema, startControl } from '@bankhouse/control';
import { createLogger, loadConfig } from '@bankhouse/core';
import type { TestPostgres } from '../../harness/postgres.ts';

export const FRONT_DOOR = 'https://mcp.example.com';
export const ADMIN_KEY = randomBytes(24).toString('hex');
export const VERIFIER_KEY = randomBytes(24).toString('hex');

export interface Answer {
  status: number;
  headers: Headers;
  body: { ok: boolean; data?: Record<string, unknown>; error?: { code: string; message: string } };
}

export interface Harness {
  /** The public door. */
  url: string;
  /** The one that takes the admin key, where `get` and `post` go. */
  apiUrl: string;
  /** Probes and metrics. */
  adminUrl: string;
  /** Lines of the log so far. */
  log: () => Record<string, unknown>[];
  post(path: string, body?: unknown, key?: string): Promise<Answer>;
  get(path: string, key?: string): Promise<Answer>;
  ready: Promise<void>;
  stop(): Promise<void>;
}

/** @param env further configuration */
export async function startHarness(
  postgres: Pick<TestPostgres, 'serviceUrl'>,
  env: Record<string, string> = {},
): Promise<Harness> {
  const lines: string[] = [];
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const config = loadConfig(configSchema, {
    PORT: '0',
    ADMIN_API_PORT: '0',
    ADMIN_PORT: '0',
    ...env,
    FRONT_DOOR_URL: FRONT_DOOR,
    DATABASE_URL: postgres.serviceUrl('control'),
    SIGNING_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ADMIN_KEY,
    VERIFIER_KEY,
  });
  const control = await startControl(
    config,
    createLogger({ component: 'control', level: 'debug', destination: { write: (line) => void lines.push(line) } }),
  );
  const url = `http://127.0.0.1:${control.port}`;
  const apiUrl = `http://127.0.0.1:${control.adminApiPort}`;
  const send = async (method: string, path: string, key: string | undefined, body: unknown): Promise<Answer> => {
    const response = await fetch(`${apiUrl}${path}`, {
      method,
      headers: {
        ...(key === undefined || key === '' ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] };
  };
  return {
    url,
    apiUrl,
    adminUrl: `http://127.0.0.1:${control.adminPort}`,
    log: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    post: (path, body, key = ADMIN_KEY) => send('POST', path, key, body),
    get: (path, key = ADMIN_KEY) => send('GET', path, key, undefined),
    ready: control.ready,
    stop: () => control.stop(),
  };
}
