/** A script that uses the harness, for at-end.test.ts: says which folder its server has, and goes on until it is ended. */
import { dirname } from 'node:path';
import { startApiServer } from '../../harness/apiserver.ts';
import { startPostgres, withClient } from '../../harness/postgres.ts';

const [what, ownHandler] = process.argv.slice(2);

async function start(): Promise<string> {
  if (what === 'apiserver') return dirname((await startApiServer({ crds: false })).kubeconfigFile);
  const postgres = await startPostgres({ migrate: false });
  return withClient(postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ data_directory: string }>('show data_directory');
    return dirname(rows[0]?.data_directory ?? '');
  });
}

const dir = await start();
if (ownHandler === 'own') process.once('SIGTERM', () => process.exit(7));
process.stdout.write(`${dir}\n`);
process.stdin.resume().once('end', () => process.exit(3));
