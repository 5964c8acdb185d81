import { toolsetsNamed } from '@bankhouse/server';
import type { Client, CompleteResult, GetPromptResult } from '@modelcontextprotocol/client';
import type { TestPostgres } from '../../harness/postgres.ts';
import { asLoader, call, type Era, type RunningBank, runBank } from '../server/support.ts';

/** Calls: a long one in `sales`, one in `support`, one in both; and an old one of the other table in `sales`. */
export const LONG = '00000000-0000-4000-8000-000000000001';
export const SUPPORT = '00000000-0000-4000-8000-000000000002';
export const BOTH = '00000000-0000-4000-8000-000000000003';
export const OLD = 'fathom-7';

export async function runSurface(postgres: TestPostgres, id: string): Promise<RunningBank> {
  const running = await runBank(postgres, id, { toolsets: toolsetsNamed(['recordings', 'workspace', 'semantic']) });
  await asLoader(postgres, async (client) => {
    await client.query('begin');
    await client.query(
      `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds, participants, summary, transcript)
       select $1, id::uuid, title, now() - ago, 1800, array['ann@example.com', 'Ben'], summary,
              (select jsonb_agg(jsonb_build_object('start', s * 10, 'end', s * 10 + 10, 'speaker', 'Ann', 'text', 'Point ' || s || text))
                 from generate_series(0, segments - 1) s)
         from (values ($2, 'Renewal with Globex', interval '1 day', 'They want a discount.', repeat(' and so on', 20), 600),
                      ($3, 'Outage review', interval '2 days', 'The pump failed.', ' about the pump', 5),
                      ($4, 'Renewal kick-off', interval '20 days', null, ' about a flamingo', 5))
           as t (id, title, ago, summary, text, segments)`,
      [id, LONG, SUPPORT, BOTH],
    );
    await client.query(
      `insert into bank.vault_entries (bank_id, vault_id, recording_id)
       values ($1, 'sales', $2), ($1, 'support', $3), ($1, 'sales', $4), ($1, 'support', $4)`,
      [id, LONG, SUPPORT, BOTH],
    );
    await client.query(
      `insert into bank.fathom_calls (bank_id, id, vault_id, title, recording_start_time, recording_end_time)
       values ($1, 7, 'sales', 'An old call', now() - interval '400 days', now() - interval '400 days')`,
      [id],
    );
    await client.query('commit');
  });
  return running;
}

/** A client that reads and writes, in all vaults or some. */
export function connect(running: RunningBank, vaults: string[] | null = null, era: Era = 'modern') {
  return running.connect(era, { scopes: ['mcp:read', 'mcp:write'], vaults });
}

export async function make(client: Client, tool: string, args: Record<string, unknown>): Promise<string> {
  return (await call<{ id: string }>(client, tool, args)).id;
}

/** Everything that a prompt says, embedded resources included. */
export function textsOf({ messages }: GetPromptResult): string[] {
  return messages.map(({ content }) => {
    if (content.type === 'text') return content.text;
    if (content.type === 'resource' && 'text' in content.resource) return content.resource.text;
    return '';
  });
}

export async function prompt(client: Client, name: string, args: Record<string, string> = {}): Promise<string> {
  return textsOf(await client.getPrompt({ name, arguments: args })).join('\n');
}

export async function completePrompt(
  client: Client,
  [name, argument, value]: [name: string, argument: string, value: string],
): Promise<CompleteResult['completion']> {
  return (await client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion;
}

export async function completeTemplate(
  client: Client,
  [template, argument, value]: [template: string, argument: string, value: string],
): Promise<string[]> {
  const { completion } = await client.complete({
    ref: { type: 'ref/resource', uri: template },
    argument: { name: argument, value },
  });
  return completion.values;
}
