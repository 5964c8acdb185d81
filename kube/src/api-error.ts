import { BankhouseError, messageOf } from '@bankhouse/core';

/**
 * The API server refused a request or could not be reached.
 *
 * `code` is the reason in snake case (`not_found`, `conflict`, `already_exists`, `expired`, `invalid`, `forbidden`,
 * `too_many_requests` …), or `unreachable` when no answer came, then with status 0.
 */
export class ApiError extends BankhouseError {
  /** HTTP status, 0 without an answer. */
  readonly status: number;
  /** `reason` of the Status object, such as `NotFound`; empty without one. */
  readonly reason: string;
  /** What the server asked to wait, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(options: {
    status: number;
    reason: string;
    message: string;
    retryAfterSeconds?: number | undefined;
    cause?: unknown;
  }) {
    super(codeOf(options.status, options.reason), options.message, { cause: options.cause });
    this.name = 'ApiError';
    this.status = options.status;
    this.reason = options.reason;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

const CODE_BY_STATUS: Readonly<Record<number, string>> = {
  0: 'unreachable',
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  410: 'gone',
  422: 'invalid',
  429: 'too_many_requests',
  500: 'internal_error',
  503: 'service_unavailable',
  504: 'timeout',
};

function codeOf(status: number, reason: string): string {
  if (reason !== '') return reason.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
  return CODE_BY_STATUS[status] ?? `http_${status}`;
}

interface StatusObject {
  kind?: unknown;
  code?: unknown;
  reason?: unknown;
  message?: unknown;
  details?: { retryAfterSeconds?: unknown };
}

/**
 * An ApiError from an answer that is not 2xx.
 *
 * @param body usually a `Status` object, but a proxy may send anything
 * @param retryAfter the header of that name; only its form in seconds is taken (RFC 9110 section 10.2.3)
 */
export function errorFromAnswer(status: number, body: string, request: string, retryAfter?: string): ApiError {
  const parsed = parseStatus(body);
  const said = typeof parsed?.message === 'string' ? parsed.message : body.slice(0, 200);
  const seconds = parsed?.details?.retryAfterSeconds ?? secondsIn(retryAfter);
  return new ApiError({
    status,
    reason: typeof parsed?.reason === 'string' ? parsed.reason : '',
    message: `${request}: ${said === '' ? `HTTP ${status}` : said}`,
    retryAfterSeconds: typeof seconds === 'number' ? seconds : undefined,
  });
}

/** An ApiError from a `Status` object inside a watch (an `ERROR` event). */
export function errorFromStatus(object: unknown, request: string): ApiError {
  const status = isRecord(object) && typeof object.code === 'number' ? object.code : 500;
  return errorFromAnswer(status, JSON.stringify(object), request);
}

/** An ApiError for a request that got no answer (refused, reset, timed out). */
export function errorFromTransport(cause: unknown, request: string): ApiError {
  return new ApiError({ status: 0, reason: '', message: `${request}: no answer: ${messageOf(cause)}`, cause });
}

/** How long the server asked to be left alone, in milliseconds; 0 where it didn't, or it wasn't the server that failed. */
export function retryAfterOf(error: unknown): number {
  if (!(error instanceof ApiError) || error.retryAfterSeconds === undefined) return 0;
  return Math.min(Math.max(error.retryAfterSeconds, 0), RETRY_AFTER_MAX_SECONDS) * 1000;
}

/** Whether `error` is an ApiError with one of the codes. */
export function isApiError(error: unknown, ...codes: string[]): error is ApiError {
  return error instanceof ApiError && (codes.length === 0 || codes.includes(error.code));
}

/** A server that asks for more has made a mistake, or isn't the API server. */
const RETRY_AFTER_MAX_SECONDS = 300;

function secondsIn(header: string | undefined): number | undefined {
  return header !== undefined && /^[0-9]{1,9}$/.test(header) ? Number(header) : undefined;
}

function parseStatus(body: string): StatusObject | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) ? (value as StatusObject) : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
