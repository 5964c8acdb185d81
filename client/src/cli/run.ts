import { messageOf } from '@bankhouse/core';
import { CommanderError } from 'commander';
import { UsageError } from './errors.ts';
import { createProgram, type Surroundings } from './program.ts';

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** Runs one command line. @returns the exit code: 0, 1 what was asked failed, 2 it can't be meant so */
export async function runCli(args: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await createProgram(surroundings).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has said it already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    surroundings.err(`bankhouse: ${messageOf(error).replace(/\s*\n\s*/g, ' ')}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
  }
}
