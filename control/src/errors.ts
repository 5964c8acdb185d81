import { BankhouseError } from '@bankhouse/core';

/** An answer other than success: status, stable code, one sentence that says what to do (R5.5). */
export class ApiError extends BankhouseError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    options: { headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(code, message, { cause: options.cause });
    this.name = 'ApiError';
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

export interface Failure {
  ok: false;
  error: { code: string; message: string };
}

export function failure(code: string, message: string): Failure {
  return { ok: false, error: { code, message } };
}
