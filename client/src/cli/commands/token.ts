import type { Command } from 'commander';
import { type Context, collect } from '../context.ts';
import { createControlClient, trust } from '../control.ts';
import { parseDuration } from '../duration.ts';

interface TokenOptions {
  vault?: string[];
  scope?: string[];
  ttl?: string;
  subject?: string;
  json?: boolean;
}

/** The token alone goes to standard output, so that a script can take it. */
export function tokenCommand(program: Command, context: Context): void {
  program
    .command('token')
    .description('make a token for a bank')
    .argument('<bank>', "the bank's id")
    .option('--vault <id>', 'limit it to these vaults; repeat it for more', collect)
    .option('--scope <scope>', 'mcp:read, mcp:write (default: both); repeat it for more', collect)
    .option('--ttl <duration>', 'how long it lives, such as 30m or 48h', '24h')
    .option('--subject <name>', 'whom it stands for')
    .option('--json', 'everything about it, as JSON')
    .action(async (bank: string, options: TokenOptions) => {
      const ttlSeconds = parseDuration(options.ttl ?? '24h');
      const settings = context.settings();
      trust(settings);
      const minted = await createControlClient(settings).mint({
        bank,
        ttlSeconds,
        ...(options.vault === undefined ? {} : { vaults: options.vault }),
        ...(options.scope === undefined ? {} : { scope: options.scope.join(' ') }),
        ...(options.subject === undefined ? {} : { subject: options.subject }),
      });
      context.print(options.json === true ? JSON.stringify(minted, null, 2) : minted.token);
    });
}
