/** A bank with tasks to query, and another one beside it. */
import type { Toolset } from '@bankhouse/server';
import type { Client } from '@modelcontextprotocol/client';
import { queryTool } from '../../../server/src/toolsets/workspace/query/index.ts';
import { startPostgres, type TestPostgres } from '../../harness/postgres.ts';
import { call, type RunningBank, runBank } from '../server/support.ts';
import { insertTasks, makeTasks } from './support.ts';

const toolset: Toolset = { name: 'workspace', instructions: '', tools: [queryTool], resources: [] };
export const TASKS = makeTasks(120);
export const LIVING = TASKS.filter((task) => task.archivedAt === null);

export interface Page {
  rows: Record<string, unknown>[];
  nextCursor?: string;
}

export interface Queries extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly running: RunningBank;
  readonly client: Client;
  /** Rows of all pages, of tasks unless the arguments say otherwise. */
  allRows(args: Record<string, unknown>, as?: Client): Promise<Record<string, unknown>[]>;
}

export async function startQueries(): Promise<Queries> {
  await using starting = new AsyncDisposableStack();
  const postgres = starting.adopt(await startPostgres(), (started) => started.stop());
  const running = starting.use(await runBank(postgres, 'acme', { toolsets: [toolset] }));
  await using other = await runBank(postgres, 'globex', { toolsets: [toolset] });
  await insertTasks(postgres, 'acme', TASKS);
  await insertTasks(postgres, other.id, makeTasks(60, 1000));
  const client = starting.use(await running.connect());
  const stack = starting.move();
  return {
    postgres,
    running,
    client,
    async allRows(args, as = client) {
      const rows: Record<string, unknown>[] = [];
      let cursor: string | undefined;
      do {
        const page: Page = await call<Page>(as, 'query', {
          kind: 'task',
          ...args,
          ...(cursor === undefined ? {} : { cursor }),
        });
        rows.push(...page.rows);
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      return rows;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function idsOf(rows: readonly { id?: unknown }[]): string[] {
  return rows.map((row) => String(row.id)).sort();
}
