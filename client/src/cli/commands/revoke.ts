import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { createControlClient, trust } from '../control.ts';
import { UsageError } from '../errors.ts';
import { readText } from '../settings.ts';

export function revokeCommand(program: Command, context: Context): void {
  program
    .command('revoke')
    .description('revoke a token, or all tokens of a bank')
    .argument('[token]', 'the token or its jti; - reads it from standard input')
    .option('--all <bank>', 'every token of this bank that was made until now')
    .action(async (token: string | undefined, options: { all?: string }) => {
      if ((token === undefined) === (options.all === undefined)) {
        throw new UsageError('Name either a token (or its jti), or a bank by --all.');
      }
      const settings = context.settings();
      trust(settings);
      const control = createControlClient(settings);
      if (options.all !== undefined) {
        const { bank, notBefore } = await control.revokeAll(options.all);
        return context.print(`Every token of ${bank} that was made before ${notBefore} is revoked.`);
      }
      const text = (token === '-' ? readText(0, 'Standard input') : (token ?? '')).trim();
      const { jti } = await control.revoke(text.split('.').length === 3 ? { token: text } : { jti: text });
      context.print(`The token ${jti} is revoked.`);
    });
}
