import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Field names whose values never reach a log, at the top or one or two levels deep. The one list, tested. */
export const REDACTED_FIELDS = [
  'authorization',
  'password',
  'token',
  'secret',
  'key',
  'assertion',
  'databaseUrl',
  'cookie',
  'bankhouse-assertion',
  'bankhouse-database-assertion',
] as const;

const CENSOR = '[redacted]';

/**
 * JSON lines on standard output: `time` (ISO 8601), `level` (word), `component`, `msg` and fields. Durations are in
 * milliseconds in fields that end with `Ms`.
 *
 * @param options.gatherMs for a line or more per request: gathers 4 KiB, or so many milliseconds; a kill -9 loses as much
 */
export function createLogger(options: {
  component: string;
  level?: string;
  destination?: DestinationStream;
  gatherMs?: number;
}): Logger {
  const paths = REDACTED_FIELDS.flatMap((field) => [`["${field}"]`, `*["${field}"]`, `*.*["${field}"]`]);
  return pino(
    {
      level: options.level ?? 'info',
      base: { component: options.component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths, censor: CENSOR },
    },
    options.destination ?? standardOutput(options.gatherMs),
  );
}

/**
 * The same, for a line per request, whose fields are no objects: secrets are looked for at the top alone. Looking two levels deep,
 * by copying what is there, is a third of such a line's cost and a quarter of what a call leaves to the garbage collector.
 */
export function flatLines(logger: Logger): Logger {
  return logger.child({}, { redact: { paths: REDACTED_FIELDS.map((field) => `["${field}"]`), censor: CENSOR } });
}

function standardOutput(gatherMs: number | undefined): DestinationStream {
  if (gatherMs === undefined) return pino.destination({ dest: 1, sync: false });
  const destination = pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: gatherMs });
  process.on('exit', () => destination.flushSync());
  return destination;
}
