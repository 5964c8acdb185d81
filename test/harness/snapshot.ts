import { describeSchema } from '../../control/src/migrations/index.ts';
import { startPostgres, withClient } from './postgres.ts';

export const SNAPSHOT = 'migrations/schema.snapshot.txt';

const HEADER =
  '# Written by `npm run snapshot`: the schema that the migrations make. Bodies of functions stand in their files.\n\n';

/** What the snapshot has to say, from an empty Postgres with all migrations. */
export async function snapshotNow(): Promise<string> {
  const postgres = await startPostgres();
  try {
    return HEADER + (await withClient(postgres.ownerUrl, describeSchema));
  } finally {
    await postgres.stop();
  }
}
