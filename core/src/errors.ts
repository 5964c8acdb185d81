/**
 * The base of every error that Bankhouse raises on purpose.
 *
 * `code` is stable and meant for `switch`, metrics and API answers; `message` is one sentence for people: what is wrong,
 * where, and what to do. A message never contains a secret. The original failure stays in `cause`.
 */
export class BankhouseError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'BankhouseError';
    this.code = code;
  }
}

/** With it a process ends that can't start with its configuration: `EX_CONFIG` of sysexits. */
export const EXIT_CONFIG = 78;

/** Configuration (environment, file, values) that a process can't start with; it ends with `EXIT_CONFIG`. */
export class ConfigError extends BankhouseError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('config_invalid', message, options);
    this.name = 'ConfigError';
  }
}

/** The message of anything thrown, for a log field or a status message; never a stack. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
