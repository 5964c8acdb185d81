import type pg from 'pg';
import {
  ACLS,
  DEFAULTS,
  EXTENSIONS,
  FUNCTIONS,
  POLICIES,
  RELATIONS,
  ROLES,
  SCHEMAS,
  TYPES,
} from './snapshot-queries.ts';

interface Acl {
  owner: string;
  /** `who: PRIVILEGE, PRIVILEGE`, of everybody but the owner. */
  grants: string[];
}

interface Relation extends Acl {
  kind: string;
  name: string;
  flags: string[];
  columns: string[];
  constraints: string[];
  indexes: string[];
  triggers: string[];
  rules: string[];
  definition: string | null;
}

interface Routine extends Acl {
  kind: string;
  signature: string;
  result: string | null;
  traits: string[];
}

/**
 * The schema of a database, to be read in a review and compared: all that is ours, and no text of a function. From the catalog
 * alone, so that it is the same whichever client is there; the same schema gives the same text.
 */
export async function describeSchema(client: pg.Client): Promise<string> {
  await client.query('begin isolation level repeatable read read only');
  try {
    // What is not in pg_catalog is then written with its schema.
    await client.query('set local search_path = pg_catalog');
    const rows = async <Row extends object>(text: string) => (await client.query<Row>(`${ACLS} ${text}`)).rows;
    const roles = await rows<{ role: string; traits: string[]; groups: string[] }>(ROLES);
    const schemas = await rows<Acl & { title: string }>(SCHEMAS);
    const lines = async (text: string) => (await rows<{ line: string }>(text)).map(({ line }) => line);
    const types = await rows<Acl & { name: string; definition: string }>(TYPES);
    const relations = await rows<Relation>(RELATIONS);
    const policies = await rows<{ relation: string; text: string }>(POLICIES);
    const functions = await rows<Routine>(FUNCTIONS);
    const blocks = [
      ...roles.map(({ role, traits, groups }) => block(`role ${role}`, [...traits, ...groups.map((g) => `in ${g}`)])),
      ...schemas.map((schema) => block(schema.title, access(schema))),
      block('extensions', await lines(EXTENSIONS)),
      block('default privileges', await lines(DEFAULTS)),
      ...types.map((type) => block(`type ${type.name}`, [type.definition, ...access(type)])),
      ...relations.map((relation) => relationBlock(relation, policies)),
      ...functions.map((f) =>
        block(`${f.kind} ${f.signature}`, [
          ...(f.result === null ? [] : [`returns ${f.result}`]),
          f.traits.join(', '),
          ...access(f),
        ]),
      ),
    ];
    return blocks.join('\n');
  } finally {
    await client.query('rollback');
  }
}

function relationBlock(relation: Relation, policies: readonly { relation: string; text: string }[]): string {
  return block(`${relation.kind} ${relation.name}`, [
    ...relation.columns,
    ...relation.constraints,
    ...relation.indexes,
    ...relation.triggers,
    ...relation.rules,
    ...relation.flags,
    ...policies.filter((policy) => policy.relation === relation.name).map(({ text }) => text),
    ...(relation.definition === null ? [] : relation.definition.split('\n').map((line) => line.trimEnd())),
    ...access(relation),
  ]);
}

function access({ owner, grants }: Acl): string[] {
  return [`owner ${owner}`, ...grants.map((grant) => `grant to ${grant}`)];
}

function block(title: string, lines: readonly string[]): string {
  return `${title}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
