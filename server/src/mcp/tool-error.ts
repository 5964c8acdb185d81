import { BankhouseError } from '@bankhouse/core';
import type { CallToolResult } from '@modelcontextprotocol/server';

/** `_meta` key of a tool error's machine-readable part: `{code, retryable, field?}` and the error's details. */
export const ERROR_META_KEY = 'bankhouse.dev/error';

export type ToolErrorCode =
  | 'invalid_argument'
  | 'invalid_cursor'
  | 'invalid_range'
  | 'not_found'
  | 'already_exists'
  | 'conflict'
  | 'stale_version'
  | 'invalid_transition'
  | 'batch_failed'
  | 'batch_too_long'
  | 'forbidden'
  | 'too_slow'
  | 'overloaded'
  | 'database_unavailable'
  | 'not_configured'
  | 'upstream_failed'
  | 'internal';

/**
 * A failure that a model can act on: `code` is stable, `message` says what was wrong, `remedy` what to send instead. Neither
 * holds SQL, a stack or a secret.
 */
export class ToolError extends BankhouseError {
  declare readonly code: ToolErrorCode;
  readonly remedy: string;
  /** The same call can succeed later. */
  readonly retryable: boolean;
  /** The argument that was wrong. */
  readonly field: string | undefined;
  /** More for programs, beside the code. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ToolErrorCode,
    message: string,
    remedy: string,
    options: { retryable?: boolean; field?: string; details?: Readonly<Record<string, unknown>>; cause?: unknown } = {},
  ) {
    super(code, message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ToolError';
    this.remedy = remedy;
    this.retryable = options.retryable ?? false;
    this.field = options.field;
    this.details = options.details ?? {};
  }
}

/** The error as a result, so that the model sees it, not only the client. */
export function toErrorResult(error: ToolError): CallToolResult {
  return {
    isError: true,
    content: [{ type: 'text', text: `${error.code}: ${error.message} ${error.remedy}` }],
    _meta: {
      [ERROR_META_KEY]: {
        code: error.code,
        retryable: error.retryable,
        ...(error.field === undefined ? {} : { field: error.field }),
        ...error.details,
      },
    },
  };
}
