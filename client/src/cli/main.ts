import { messageOf } from '@bankhouse/core';
import { reasonOf } from '../files.ts';
import { EXIT_FAILURE, runCli } from './run.ts';

/** What nobody can be told is not told: standard error is the last one. */
process.stderr.on('error', () => {});
/** A reader that went away, a full disk: what was to be said is lost, and the exit code must say so, whatever is still under way. */
process.stdout.on('error', (error) => fail(`Standard output can't be written: ${reasonOf(error)}.`));
process.on('uncaughtException', (error) => fail(`This is a fault of bankhouse's own: ${messageOf(error)}`));

function fail(sentence: string): never {
  process.stderr.write(`bankhouse: ${sentence.replace(/\s*\n\s*/g, ' ')}\n`);
  process.exit(EXIT_FAILURE);
}

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
