/** Something went wrong that its reader can act on: one clear sentence, and the log that has the rest. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly log: string | undefined;

  constructor(sentence: string, options: { log?: string; cause?: unknown } = {}) {
    super(sentence, 'cause' in options ? { cause: options.cause } : {});
    this.log = options.log;
  }
}

/** Runs a command's main function; a Fault ends it with its sentence, anything else with its stack, both with exit code 1. */
export async function main(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Fault) {
      process.stderr.write(`\n${error.message}\n${error.log === undefined ? '' : `The log is ${error.log}\n`}`);
    } else {
      process.stderr.write(`\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    }
    process.exitCode = 1;
  }
}
