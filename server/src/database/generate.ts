import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import '../bank-server.ts';
import { statementTexts } from './statement.ts';
import { statementsSql } from './statements-sql.ts';

const FILE = new URL('../../../migrations/tenants/functions/server_statements.sql', import.meta.url);

/** `npm run generate`: tells the database what a bank server sends. */
writeFileSync(FILE, statementsSql(statementTexts(), existsSync(FILE) ? readFileSync(FILE, 'utf8') : ''));
