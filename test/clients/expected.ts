import { expect } from 'vitest';
import type { Row, Seen } from './clients.ts';

/** What a row of the table must see of a bank with so many recordings, so many of them with the word. */
export function expectedOf({ client, era }: Row, counts: { recordings: number; found: number }): Seen {
  const tools = expect.arrayContaining(['batch', 'list_recordings', 'process_chat_message', 'query', 'search']);
  const revision = era === 'legacy' ? '2025-11-25' : era === 'auto' ? '2026-07-28' : era;
  const [maker = ''] = client.split(' SDK');
  switch (client) {
    case 'Claude Code':
      return { connects: true, refusal: 'HTTP 401' };
    case 'Gemini CLI':
      return { connects: true, refusal: 'Disconnected' };
    case 'Inspector':
      return { tools, recordings: counts.recordings, task: ['From Inspector', 1] };
    case 'mcp-remote':
      return { tools, ...counts, task: ['From mcp-remote', 1] };
    default:
      return { revision, tools, ...counts, task: [`From ${maker}`, 1], heard: 'the note' };
  }
}
