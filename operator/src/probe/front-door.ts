import {
  bankMetadataUrl,
  bankUrl,
  DATABASE_LOGIN_REFUSED,
  field,
  messageOf,
  PROVEN_IMAGE_HEADER,
} from '@bankhouse/core';
import type { Clock } from '@bankhouse/kube';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Agent, buildConnector, type Dispatcher, fetch as undiciFetch } from 'undici';
import type { OperatorConfig } from '../config.ts';
import { ProbeError, type ProbeFailure } from './result.ts';

/** A bank as a client meets it. Both raise ProbeError: `route_failed` or `handshake_failed`. */
export interface FrontDoor {
  /** The bank's metadata (RFC 9728) and its 401 challenge, without a token (R1.8). */
  checkRoute(id: string, signal: AbortSignal): Promise<void>;
  /**
   * Discovery or initialization, then the list of tools, with a token that opens nothing else.
   *
   * @returns the image that proved to be the bank's (G9), by the gateway's word; undefined: none did
   */
  checkHandshake(id: string, signal: AbortSignal): Promise<string | undefined>;
  /** The bank is gone: drops what is kept of it. */
  forget(id: string): void;
  close(): Promise<void>;
}

type FrontDoorConfig = Pick<
  OperatorConfig,
  'FRONT_DOOR_URL' | 'FRONT_DOOR_CONNECT' | 'FRONT_DOOR_CA' | 'CONTROL_URL' | 'VERIFIER_KEY'
>;

const TOKEN_TTL_SECONDS = 300;
/** A token is not used in the last part of its life. */
const TOKEN_MARGIN_MS = 60_000;
/** Of an answer. A bank's list of tools has a hundredth of it; what a taken-over pod says would be held in memory as long as it goes on. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** In a handshake; one that goes well needs half as many. A stream that breaks off is taken up again as soon as the bank likes, and again. */
const MAX_REQUESTS = 10;
const CLIENT = { name: 'bankhouse-operator', version: '0.1.0' };

export function createFrontDoor(config: FrontDoorConfig, clock: Clock): FrontDoor {
  const dispatcher = createDispatcher(config);
  const tokens = new Map<string, { token: string; until: number }>();
  const request = (url: string | URL, init?: RequestInit): Promise<Response> =>
    undiciFetch(url, { ...init, dispatcher } as Parameters<typeof undiciFetch>[1]) as unknown as Promise<Response>;

  async function getToken(id: string, signal: AbortSignal): Promise<string> {
    const cached = tokens.get(id);
    if (cached !== undefined && cached.until > clock.now()) return cached.token;
    const answer = await undiciFetch(`${config.CONTROL_URL}/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${config.VERIFIER_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ bank: id, scope: 'mcp:verify', ttlSeconds: TOKEN_TTL_SECONDS, vaults: [] }),
      signal,
    });
    const body = (await answer.json()) as { data?: { token?: string }; error?: { message?: string } };
    const token = body.data?.token;
    if (token === undefined) throw new Error(`control gives no token: ${body.error?.message ?? answer.status}`);
    tokens.set(id, { token, until: clock.now() + TOKEN_TTL_SECONDS * 1000 - TOKEN_MARGIN_MS });
    return token;
  }

  return {
    async checkRoute(id, signal) {
      const url = bankUrl(config.FRONT_DOOR_URL, id);
      const metadataUrl = bankMetadataUrl(config.FRONT_DOOR_URL, id);
      try {
        const metadata = await request(metadataUrl, { signal });
        const body = metadata.ok ? ((await metadata.json()) as { resource?: unknown }) : undefined;
        if (!metadata.ok) await metadata.body?.cancel();
        if (body?.resource !== url) {
          throw new AnswerError(
            metadata.status,
            `${metadataUrl} answers ${metadata.status}, not the metadata of ${url}`,
          );
        }
        const challenge = await request(url, { method: 'POST', signal });
        await challenge.body?.cancel();
        const header = challenge.headers.get('www-authenticate') ?? '';
        if (challenge.status !== 401 || !header.includes(metadataUrl)) {
          throw new AnswerError(
            challenge.status,
            `${url} without a token answers ${challenge.status}, not the challenge of RFC 9728`,
          );
        }
      } catch (error) {
        throw new ProbeError('route_failed', failureOf(error), reasonOf(error), { cause: error });
      }
    },

    async checkHandshake(id, signal) {
      const client = new Client(CLIENT, { versionNegotiation: { mode: 'auto' } });
      let provenImage: string | undefined;
      let requests = 0;
      try {
        const token = await getToken(id, signal);
        const transport = new StreamableHTTPClientTransport(new URL(bankUrl(config.FRONT_DOOR_URL, id)), {
          fetch: async (url, init) => {
            requests += 1;
            if (requests > MAX_REQUESTS) throw new Error('the bank wants more requests than a handshake has');
            const ends = init?.signal ? AbortSignal.any([init.signal, signal]) : signal;
            const answer = await request(url, { ...init, signal: ends });
            provenImage = answer.headers.get(PROVEN_IMAGE_HEADER) ?? provenImage;
            return answer;
          },
          requestInit: { headers: { authorization: `Bearer ${token}` } },
        });
        await client.connect(transport, { signal });
        await client.listTools(undefined, { signal });
        return provenImage;
      } catch (error) {
        const failure = failureOf(error);
        // Another token helps where this one was refused, and costs control an answer where the bank hangs.
        if (failure.kind === 'refused' && failure.status < 500) tokens.delete(id);
        throw new ProbeError('handshake_failed', failure, reasonOf(error), { cause: error });
      } finally {
        await client.close().catch(() => {});
      }
    },

    forget: (id) => void tokens.delete(id),

    close: () => dispatcher.close(),
  };
}

/** Connects where FRONT_DOOR_CONNECT says, under the TLS name and Host of the URL. */
function createDispatcher(config: FrontDoorConfig): Dispatcher {
  const connect = buildConnector({
    ...(config.FRONT_DOOR_CA === undefined ? {} : { ca: config.FRONT_DOOR_CA }),
    timeout: 2_000,
  });
  if (config.FRONT_DOOR_CONNECT === undefined) return new Agent({ connect, maxResponseSize: MAX_ANSWER_BYTES });
  const [hostname = '', port = ''] = config.FRONT_DOOR_CONNECT.split(':');
  const { hostname: servername } = new URL(config.FRONT_DOOR_URL);
  return new Agent({
    maxResponseSize: MAX_ANSWER_BYTES,
    connect: (options, callback) => connect({ ...options, hostname, host: hostname, port, servername }, callback),
  });
}

/** An answer that is there, but not the one that it has to be. */
class AnswerError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Reads what fetch, the SDK and the checks above throw; the SDK wraps what its transport threw. */
function failureOf(error: unknown): ProbeFailure {
  let cause = error;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    if (field(cause, 'data', 'code') === DATABASE_LOGIN_REFUSED) return { kind: 'databaseRefused' };
    const { status } = cause as { status?: unknown };
    if (typeof status === 'number' && status >= 100) return { kind: 'refused', status };
    ({ cause } = cause);
  }
  return { kind: 'failed' };
}

/** fetch hides what happened in its cause. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return messageOf(inner).replace(/\s+/g, ' ').slice(0, 300);
}
