/** `npm run snapshot`: writes the schema that the migrations make, as a test compares it. Needs Debian's postgresql-15. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SNAPSHOT, snapshotNow } from '../test/harness/snapshot.ts';
import { main, ROOT } from './shared/index.ts';

await main(async () => writeFileSync(join(ROOT, SNAPSHOT), await snapshotNow()));
