import { BankhouseError } from '@bankhouse/core';
import { type Clock, delay } from '@bankhouse/kube';
import { type DatabaseGate, type Erased, type GoingDatabase, isMissing, type ServerGate } from '../database/index.ts';
import { serverAt, whereOf } from '../placement/index.ts';

type ErasingServer = Pick<ServerGate, 'erase' | 'at' | 'leave'>;

/** What erasing asks of Postgres. */
export type ErasingDatabase = Pick<DatabaseGate, 'due' | 'forget' | 'dropDatabase'> &
  ErasingServer & { on(server: string): ErasingServer | undefined };

/** Rows whose time has come. */
export interface Due {
  id: string;
  uid: string;
  placement: string;
}

const NOTHING: Erased = { rowsDeleted: 0, tables: {} };
const LOOK_MS = 200;

/**
 * Erases the rows of an id wherever they are. A database of the bank's own goes with them: it is ordered gone with the receipt, so that the
 * receipt outlives it, and waited for.
 *
 * @param patienceMs how long to wait for the database to be dropped
 * @throws BankhouseError `database_still_there`, `placement_unknown`, `server_unknown`
 */
export async function eraseRows(
  database: ErasingDatabase,
  { id, uid, placement }: Due,
  options: { clock: Clock; signal: AbortSignal; patienceMs: number },
): Promise<Erased> {
  const where = whereOf(placement);
  if (where === undefined) {
    throw new BankhouseError('placement_unknown', `This release knows no placement of the form "${placement}".`);
  }
  const server = serverAt<ErasingServer>(database, where);
  const { own } = where;
  if (own === undefined) {
    const isMade = where.server === undefined || (await database.dropDatabase(id, uid))?.generation != null;
    return isMade ? await server.erase(id, uid, options.signal) : NOTHING;
  }
  let going = await database.dropDatabase(id, uid);
  if (going?.receipt == null) {
    const erased = going?.generation == null ? NOTHING : await eraseOwn(server, own, { id, uid }, options.signal);
    // Who is in it keeps it from being dropped.
    await server.leave(own);
    going = await database.dropDatabase(id, uid, erased);
  }
  const until = options.clock.now() + options.patienceMs;
  while (going !== undefined && !going.dropped && options.clock.now() < until && !options.signal.aborted) {
    await delay(options.clock, LOOK_MS, options.signal);
    going = await database.dropDatabase(id, uid);
  }
  return receiptOf(going, own);
}

async function eraseOwn(
  server: ErasingServer,
  own: string,
  { id, uid }: { id: string; uid: string },
  signal: AbortSignal,
): Promise<Erased> {
  try {
    return await server.at(own).erase(id, uid, signal);
  } catch (error) {
    // Somebody dropped it.
    if (isMissing(error)) return NOTHING;
    throw error;
  }
}

function receiptOf(going: GoingDatabase | undefined, own: string): Erased {
  if (going?.dropped === true && going.receipt !== null) return going.receipt;
  const problem =
    going?.problem ?? 'Who keeps databases has not come to it: look at the Deployment bankhouse-databases.';
  throw new BankhouseError(
    'database_still_there',
    `The rows are erased, and the database ${own} is still there: ${problem}`,
  );
}
