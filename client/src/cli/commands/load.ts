import { BankhouseError } from '@bankhouse/core';
import type { Command } from 'commander';
import { z } from 'zod';
import { readChunks, requireReadable, unreadable } from '../../files.ts';
import { type LoadOptions, listVaults, loadRecordings, numbered, type Progress, readLines } from '../../load/index.ts';
import { generateCalls } from '../../samples/index.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { readText } from '../settings.ts';

interface Options {
  bank?: string;
  generate?: string;
  seed: string;
  samples?: string;
}

const PROGRESS_EVERY_MS = 5000;
const PROBLEMS_SHOWN = 20;
const MAX_GENERATED = 1_000_000;

const samplesSchema = z.object({
  seed: z.int(),
  banks: z.array(z.object({ id: z.string(), calls: z.int().min(1).max(MAX_GENERATED) })).min(1),
});

export function loadCommand(program: Command, context: Context): void {
  program
    .command('load')
    .description(
      'load recordings into a bank: a JSON Lines file of yours (docs/recordings-format.md), or generated ones',
    )
    .argument('[file]', 'JSON Lines; - reads standard input')
    .option('--bank <id>', 'the bank to load into')
    .option('--generate <count>', 'instead of a file: so many sample calls')
    .option('--seed <number>', 'seed of the sample calls', '7')
    .option(
      '--samples <file>',
      'instead of a file and --bank: seed and counts of several banks, as examples/samples.json',
    )
    .action(async (file: string | undefined, options: Options) => {
      if ([file, options.generate, options.samples].filter((source) => source !== undefined).length !== 1) {
        throw new UsageError('Name one source: a file (or - for standard input), --generate COUNT, or --samples FILE.');
      }
      if (file !== undefined && file !== '-') await requireReadable(file);
      const databaseUrl = context.databaseUrl();
      if (options.samples !== undefined) return loadSamples(context, databaseUrl, options.samples);
      const bank = options.bank;
      if (bank === undefined) throw new UsageError('Name the bank by --bank ID.');
      const lines =
        options.generate === undefined
          ? readLines(file === undefined || file === '-' ? standardInput() : readChunks(file))
          : await generated(
              databaseUrl,
              bank,
              wholeNumber(options.seed, '--seed'),
              wholeNumber(options.generate, '--generate'),
            );
      finish(await loadOne(context, { databaseUrl, bank, lines }));
    });
}

async function* standardInput(): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of process.stdin) yield chunk as Buffer;
  } catch (error) {
    throw unreadable('Standard input', error);
  }
}

async function loadSamples(context: Context, databaseUrl: string, path: string): Promise<void> {
  const parsed = samplesSchema.safeParse(parseJson(readText(path, 'The file of --samples'), path));
  if (!parsed.success) {
    throw new UsageError(`${path} must have the form {"seed": 7, "banks": [{"id": "acme", "calls": 1800}]}.`);
  }
  const { seed, banks } = parsed.data;
  const loads = banks.map(async ({ id, calls }) =>
    loadOne(context, { databaseUrl, bank: id, lines: await generated(databaseUrl, id, seed, calls) }),
  );
  for (const progress of await Promise.all(loads)) finish(progress);
}

async function generated(databaseUrl: string, bank: string, seed: number, count: number) {
  const vaults = await listVaults(databaseUrl, bank);
  if (vaults.length === 0)
    throw new BankhouseError('no_vaults', `Bank ${bank} has no vaults; name some in its spec.vaults.`);
  return numbered(generateCalls({ bank, seed, count, vaults }));
}

async function loadOne(context: Context, options: LoadOptions): Promise<Progress> {
  const began = performance.now();
  let told = began;
  let problems = 0;
  const say = (progress: Progress, now: number) => {
    const seconds = (now - began) / 1000;
    context.note(
      `${options.bank}: ${progress.read} read, ${progress.written} written, ${progress.unchanged} unchanged, ${progress.failed} refused ` +
        `in ${seconds.toFixed(1)} s (${Math.round(progress.read / Math.max(seconds, 0.001))}/s)`,
    );
  };
  const done = await loadRecordings({
    ...options,
    onProblem: (line, problem) => {
      problems++;
      if (problems <= PROBLEMS_SHOWN) context.note(`line ${line}: ${problem}`);
      if (problems === PROBLEMS_SHOWN + 1) context.note('further lines are refused too; they are counted below');
    },
    onProgress: (progress) => {
      const now = performance.now();
      if (now - told < PROGRESS_EVERY_MS) return;
      told = now;
      say(progress, now);
    },
  });
  say(done, performance.now());
  return done;
}

function finish(progress: Progress): void {
  if (progress.failed > 0) {
    throw new BankhouseError(
      'lines_refused',
      `${progress.failed} of ${progress.read} lines were refused; the others are loaded.`,
    );
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function wholeNumber(text: string, option: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value > MAX_GENERATED) {
    throw new UsageError(`${option} ${text}: give a whole number up to ${MAX_GENERATED}.`);
  }
  return value;
}
