import { writeFileSync } from 'node:fs';
import { KINDS } from './index.ts';
import { definitionsSql } from './sql.ts';

/** `npm run generate`: writes the database's whitelist from the definitions. */
writeFileSync(new URL('../../../migrations/tenants/functions/definitions.sql', import.meta.url), definitionsSql(KINDS));
