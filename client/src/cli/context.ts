import type { Environment } from '@bankhouse/core';
import type { Settings } from './settings.ts';

/** What a command works with. */
export interface Context {
  env: Environment;
  settings(): Settings;
  /** One text to standard output, with a newline. */
  print(text: string): void;
  /** One text to standard error, with a newline: progress and what else is not the result. */
  note(text: string): void;
  /** URL of the database's owner. @throws UsageError when there is none */
  databaseUrl(): string;
}

/** An option that may be given several times. One value each, so that it never swallows the argument behind it. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
