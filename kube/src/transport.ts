import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher, ProxyAgent } from 'undici';
import { errorFromAnswer, errorFromTransport } from './api-error.ts';
import { type Clock, systemClock } from './clock.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export const JSON_TYPE = 'application/json';
export const JSON_PATCH_TYPE = 'application/json-patch+json';
export const MERGE_PATCH_TYPE = 'application/merge-patch+json';
/** For `accept`: an object's metadata alone (kind PartialObjectMetadata); a server that can't do that refuses. */
export const METADATA_ACCEPT = 'application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadata';
/** Server-side apply; our bodies are JSON, which is YAML too. */
export const APPLY_PATCH_TYPE = 'application/apply-patch+yaml';

export interface RequestOptions {
  /** Sent as JSON. */
  body?: unknown;
  query?: Query;
  /** Type of the body. Default: JSON. */
  contentType?: string;
  accept?: string;
  signal?: AbortSignal;
  /** Whole request, in milliseconds. Default: 30 s. */
  timeout?: number;
}

export interface StreamOptions {
  query?: Query;
  accept?: string;
  signal?: AbortSignal;
  /** Longest silence between two parts of the answer, in milliseconds. */
  idleLimit: number;
}

/** Requests to one API server over connections that stay open. Every failure is an ApiError. */
export interface Transport {
  /** The parsed JSON answer of a 2xx. */
  request<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** The body of a 2xx answer, part by part as it comes; reading slowly slows the sender down. */
  stream(path: string, options: StreamOptions): Promise<AsyncIterable<Uint8Array>>;
  /** The same server and credentials over connections of its own, so that no queue of other requests delays it. */
  separate(): Transport;
  /** Ends every connection; requests under way fail. */
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** A half-open connection shows within this and ten probes a second apart (libuv's interval). */
const KEEP_ALIVE_PROBE_MS = 15_000;
/** How long credentials are reused; a bound service account token is replaced long before its end. */
const CREDENTIALS_MS = 30_000;

interface Credentials {
  headers: Record<string, string>;
  tls: { ca?: string | Buffer; cert?: string | Buffer; key?: string | Buffer; servername?: string };
  rejectUnauthorized: boolean;
}

/**
 * @param kubeConfig where the server is and how to sign in: files, exec plug-ins and service account tokens as the library
 *   reads them; read anew every 30 seconds and after a 401
 */
export async function createTransport(kubeConfig: KubeConfig, clock: Clock = systemClock): Promise<Transport> {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw errorFromTransport(new Error('the kubeconfig has no current cluster'), 'connect');
  const origin = cluster.server.replace(/\/+$/, '');
  const credentials = new CredentialCache(kubeConfig, clock);
  const { tls, rejectUnauthorized } = await credentials.read();
  const connect = {
    ...tls,
    rejectUnauthorized,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    timeout: CONNECT_TIMEOUT_MS,
  };
  const createDispatcher = (): Dispatcher =>
    cluster.proxyUrl === undefined
      ? new Agent({ connect, headersTimeout: 0, bodyTimeout: 0 })
      : new ProxyAgent({ uri: cluster.proxyUrl, requestTls: connect, headersTimeout: 0, bodyTimeout: 0 });
  return new HttpTransport(origin, credentials, createDispatcher);
}

class CredentialCache {
  private readonly kubeConfig: KubeConfig;
  private readonly clock: Clock;
  private cached: { at: number; value: Promise<Credentials> } | undefined;

  constructor(kubeConfig: KubeConfig, clock: Clock) {
    this.kubeConfig = kubeConfig;
    this.clock = clock;
  }

  read(): Promise<Credentials> {
    if (this.cached === undefined || this.clock.now() - this.cached.at > CREDENTIALS_MS) {
      const value = readCredentials(this.kubeConfig);
      this.cached = { at: this.clock.now(), value };
      value.catch(() => this.forget());
    }
    return this.cached.value;
  }

  forget(): void {
    this.cached = undefined;
  }
}

async function readCredentials(kubeConfig: KubeConfig): Promise<Credentials> {
  const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {};
  await kubeConfig.applyToHTTPSOptions(options);
  const user = kubeConfig.getCurrentUser();
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value);
  if (user?.username !== undefined) {
    headers.authorization = `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`;
  }
  const tls: Credentials['tls'] = {};
  for (const name of ['ca', 'cert', 'key', 'servername'] as const) {
    const value = (options as Record<string, unknown>)[name];
    if (typeof value === 'string' || Buffer.isBuffer(value)) Object.assign(tls, { [name]: value });
  }
  return { headers, tls, rejectUnauthorized: options.rejectUnauthorized !== false };
}

class HttpTransport implements Transport {
  private readonly origin: string;
  private readonly credentials: CredentialCache;
  private readonly createDispatcher: () => Dispatcher;
  private readonly dispatcher: Dispatcher;

  constructor(origin: string, credentials: CredentialCache, createDispatcher: () => Dispatcher) {
    this.origin = origin;
    this.credentials = credentials;
    this.createDispatcher = createDispatcher;
    this.dispatcher = createDispatcher();
  }

  async request<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
    const deadline = AbortSignal.timeout(options.timeout ?? DEFAULT_TIMEOUT_MS);
    const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
    const name = `${method} ${path}`;
    const headers: Record<string, string> = { accept: options.accept ?? JSON_TYPE };
    let body: string | undefined;
    if (options.body !== undefined) {
      headers['content-type'] = options.contentType ?? JSON_TYPE;
      body = JSON.stringify(options.body);
    }
    const answer = await this.send(name, { method, path: withQuery(path, options.query), headers, body, signal });
    const text = await readText(answer.body, name);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw errorFromTransport(error, name);
    }
  }

  async stream(path: string, options: StreamOptions): Promise<AsyncIterable<Uint8Array>> {
    const name = `watch ${path}`;
    const answer = await this.send(name, {
      method: 'GET',
      path: withQuery(path, options.query),
      headers: { accept: options.accept ?? JSON_TYPE },
      signal: options.signal,
      headersTimeout: DEFAULT_TIMEOUT_MS,
      bodyTimeout: options.idleLimit,
    });
    return readParts(answer.body, name);
  }

  separate(): Transport {
    return new HttpTransport(this.origin, this.credentials, this.createDispatcher);
  }

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }

  /** Sends and checks the status; the caller reads the body. */
  private async send(
    name: string,
    options: {
      method: Method;
      path: string;
      headers: Record<string, string>;
      body?: string | undefined;
      signal: AbortSignal | undefined;
      headersTimeout?: number;
      bodyTimeout?: number;
    },
  ): Promise<Dispatcher.ResponseData> {
    const { body, signal, headers, ...rest } = options;
    let answer: Dispatcher.ResponseData;
    try {
      const credentials = await this.credentials.read();
      answer = await this.dispatcher.request({
        ...rest,
        origin: this.origin,
        headers: { ...headers, ...credentials.headers, 'user-agent': 'bankhouse' },
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      throw errorFromTransport(error, name);
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    if (answer.statusCode === 401) this.credentials.forget();
    const retryAfter = answer.headers['retry-after'];
    const header = typeof retryAfter === 'string' ? retryAfter : undefined;
    throw errorFromAnswer(answer.statusCode, await readText(answer.body, name), name, header);
  }
}

async function readText(body: Dispatcher.ResponseData['body'], name: string): Promise<string> {
  try {
    return await body.text();
  } catch (error) {
    throw errorFromTransport(error, name);
  }
}

async function* readParts(body: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of body) yield part;
  } catch (error) {
    throw errorFromTransport(error, name);
  }
}

function withQuery(path: string, query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) parameters.append(name, String(value));
  }
  return parameters.size === 0 ? path : `${path}?${parameters}`;
}
