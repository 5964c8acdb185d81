import { writeFileSync } from 'node:fs';
import { KINDS } from './index.ts';
import { definitionsSql, rowsSql } from './sql.ts';

const FOLDER = new URL('../../../migrations/tenants/functions/', import.meta.url);

/** `npm run generate`: writes what the database knows of kinds from the definitions. */
writeFileSync(new URL('definitions.sql', FOLDER), definitionsSql(KINDS));
writeFileSync(new URL('rows_as_json.sql', FOLDER), rowsSql(KINDS));
