import { embeddingsConfig, embeddingsVariables, loadConfig } from '@bankhouse/core';
import { createEmbeddings } from '@bankhouse/server/embeddings';
import type { Command } from 'commander';
import { z } from 'zod';
import { type EmbedProgress, embedBank } from '../../embed/index.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { createTicker } from '../progress.ts';

interface Options {
  since?: string;
  concurrency: string;
  dryRun?: boolean;
}

const PROBLEMS_SHOWN = 20;
const MAX_CONCURRENCY = 32;

const variables = z.object({ ...embeddingsVariables, EMBEDDINGS_KEY: z.string().trim().min(1).optional() });

export function embedCommand(program: Command, context: Context): void {
  program
    .command('embed')
    .description(
      'embed all of a bank for semantic search (docs/semantic-search.md); EMBEDDINGS_URL, EMBEDDINGS_MODEL, EMBEDDINGS_DIMENSIONS and EMBEDDINGS_KEY (or EMBEDDINGS_KEY_FILE) as the platform has them',
    )
    .argument('<bank>', "the bank's id")
    .option('--since <date>', 'only recordings that began, and entries that were made, then or later')
    .option('--concurrency <count>', `requests at once, 1 to ${MAX_CONCURRENCY}`, '4')
    .option('--dry-run', 'count what would be sent, and send nothing')
    .action(async (bank: string, options: Options) => {
      const since = toInstant(options.since);
      const concurrency = toConcurrency(options.concurrency);
      const { EMBEDDINGS_KEY: key, ...given } = loadConfig(variables, context.env);
      const config = embeddingsConfig(given);
      if (config === undefined) {
        throw new UsageError(
          'There is no endpoint: set EMBEDDINGS_URL and EMBEDDINGS_MODEL to what the chart has as embeddings.url and embeddings.model.',
        );
      }
      const began = performance.now();
      const dryRun = options.dryRun === true;
      const tell = createTicker((text) => context.note(`${bank}: ${text}`));
      let problems = 0;
      const done = await embedBank({
        databaseUrl: context.databaseUrl(),
        bank,
        embeddings: createEmbeddings(config, { key: () => key }),
        since,
        concurrency,
        dryRun,
        onProgress: (progress) => tell(dryRun ? 'counted' : 'embedded', progress.done, progress.total),
        onProblem: (item, problem) => {
          problems++;
          if (problems <= PROBLEMS_SHOWN) context.note(`${item}: ${problem}`);
          if (problems === PROBLEMS_SHOWN + 1) context.note('further items are rejected too; they are counted below');
        },
      });
      context.note(`${bank}: ${summary(done, dryRun)} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    });
}

function summary({ total, skipped, rejected, inputs, characters }: EmbedProgress, dryRun: boolean): string {
  const costs = `${inputs} inputs, ${characters} characters`;
  if (total === 0) return 'everything is embedded already';
  if (dryRun) return `${total - skipped} items to embed: ${costs}`;
  const others = [
    ...(skipped > 0 ? [`${skipped} left out (changed meanwhile, or without text)`] : []),
    ...(rejected > 0 ? [`${rejected} rejected by the endpoint`] : []),
  ];
  return [`${total - skipped - rejected} items embedded: ${costs}`, ...others].join('; ');
}

function toInstant(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const date = /^\d{4}-\d{2}-\d{2}(T.+)?$/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(date.getTime())) {
    throw new UsageError(`--since ${text}: give a date such as 2026-05-01 or an instant such as 2026-05-01T09:30:00Z.`);
  }
  return date.toISOString();
}

function toConcurrency(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < 1 || value > MAX_CONCURRENCY) {
    throw new UsageError(`--concurrency ${text}: give a whole number from 1 to ${MAX_CONCURRENCY}.`);
  }
  return value;
}
