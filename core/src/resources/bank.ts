import { z } from 'zod';
import { BANK_ID_MAX_LENGTH, BANK_ID_PATTERN, VAULT_ID_PATTERN } from '../bank-id.ts';
import { TOOL_PROFILES } from '../tool-profiles.ts';
import {
  displayNameSchema,
  durationSchema,
  matching,
  metadataSchema,
  notSupported,
  resourcesSchema,
  rule,
  statusFields,
  withRules,
} from './meta.ts';

/** Toolsets that a bank server can offer. */
export const TOOLSETS = ['recordings', 'workspace', 'semantic'] as const;
export type Toolset = (typeof TOOLSETS)[number];

const LABEL = 'must be a DNS label: lower-case letters, digits and "-", beginning and ending with a letter or digit';

const vaultSchema = z.object({
  id: matching(VAULT_ID_PATTERN, BANK_ID_MAX_LENGTH, LABEL).meta({ description: 'DNS label, unique in the bank.' }),
  displayName: displayNameSchema.optional().meta({ description: 'Name for people.' }),
});

export const bankSpecSchema = z.object({
  id: matching(BANK_ID_PATTERN, BANK_ID_MAX_LENGTH, LABEL)
    .optional()
    .meta({ description: 'The id in /mcp/bank-<id>, unique in the cluster. Default: the name. Never changes.' }),
  displayName: displayNameSchema.optional().meta({ description: 'Name for people.' }),
  type: z
    .enum(['personal', 'business'])
    .default('business')
    .meta({ description: "Whose the bank is: a person's, a business's." }),
  owner: notSupported(
    'string',
    'a bank has no owner yet; leave spec.owner out, and give people tokens for the bank (npx bankhouse token).',
  ),
  organization: notSupported(
    'string',
    'there are no organizations yet; leave spec.organization out. A label of your own can say which one it is.',
  ),
  className: z
    .string()
    .max(253)
    .optional()
    .meta({ description: 'BankClass that the bank follows. Default: the class marked as default.' }),
  toolsets: z
    .array(z.enum(TOOLSETS))
    .max(16)
    .default([...TOOLSETS])
    .meta({ description: 'Groups of tools that the bank offers.', 'x-kubernetes-list-type': 'set' }),
  tools: z
    .object({
      profile: z.enum(TOOL_PROFILES).optional().meta({
        description:
          'How much tools/list shows, where the URL says nothing (?tools=). full, the default: every tool. compact: one tool an operation. search: find_tools and call_tool. Every tool can be called in each.',
      }),
    })
    .optional()
    .meta({ description: 'How the bank offers its tools.' }),
  vaults: z
    .array(vaultSchema)
    .max(100)
    .optional()
    .meta({
      description:
        'Vaults to create, so that recordings and tokens can name them. Taking one out does not delete its rows.',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['id'],
    }),
  suspend: z.boolean().default(false).meta({ description: 'true: no pod runs and every call is refused.' }),
  suspended: notSupported('boolean', 'the field is called spec.suspend.'),
  host: notSupported(
    'object',
    'a bank has no host of its own yet; leave spec.host out. Clients connect to the URL in status.url.',
  ),
  deletionPolicy: z.enum(['Delete', 'Retain']).default('Delete').meta({
    description:
      'What becomes of the rows when the Bank is deleted. Delete: they are erased after deleteAfter. Retain: they stay.',
  }),
  deleteAfter: durationSchema('0s', '87600h').default('168h').meta({
    description:
      'With deletionPolicy Delete: how long the rows stay after the Bank was deleted. The same Bank applied again until then finds them.',
  }),
  resources: resourcesSchema.optional().meta({
    description: "Overrides the class's resources, where it allows that. A request is no more than the limit in force.",
  }),
});

/** More than run at the same time, in a rollout and when it is taken back. */
export const PROVEN_IMAGES_MAX = 4;

export const bankStatusSchema = z.object({
  ...statusFields,
  id: z.string().optional().meta({ description: 'The id in force.' }),
  url: z.string().optional().meta({ description: 'Where MCP clients connect.' }),
  className: z.string().optional().meta({ description: 'The class in force.' }),
  version: z.string().optional().meta({ description: 'Tag or digest of the image that the pods run.' }),
  databaseRole: z.string().optional().meta({ description: 'The database role in force.' }),
  database: z
    .object({
      isolation: z.enum(['shared', 'dedicated']),
      server: z
        .string()
        .max(63)
        .optional()
        .meta({ description: "Name of the server in the chart's database.servers; absent: the platform's own." }),
      name: z.string().max(63).meta({ description: 'Name of the database.' }),
      schemaGeneration: z
        .int()
        .min(0)
        .meta({ description: "Generation of our schema in it (migrations' frozen.txt)." }),
    })
    .optional()
    .meta({ description: "The database that its rows are in; absent: the platform's common one." }),
  incarnation: z.string().max(64).optional().meta({
    description: 'metadata.uid of the Bank that the id was given to; keys, routes and tokens are bound to it.',
  }),
  keyGeneration: z.int().min(0).optional().meta({ description: 'Generation of the seal keys in force.' }),
  provenImages: z.array(z.string().max(512)).max(PROVEN_IMAGES_MAX).optional().meta({
    description:
      "Images, by digest, whose pods have proven in an answer that they have the bank's key. From then on the gateway takes no answer without from a pod that runs one of them.",
  }),
});

/** The id in force, in CEL; tolerates an object without a spec, as one from before the default can be. */
const idInForce = (object: string) =>
  `(has(${object}.spec) && has(${object}.spec.id) ? ${object}.spec.id : ${object}.metadata.name)`;

export const bankSchema = withRules(
  z.object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: metadataSchema,
    spec: bankSpecSchema
      .default(() => bankSpecSchema.parse({}))
      .meta({ description: 'What is wanted. People, tokens and credentials are not here: they belong to Postgres.' }),
    status: bankStatusSchema.optional().meta({ description: 'What is; written by the operator alone.' }),
  }),
  rule(
    `${idInForce('self')}.size() <= ${BANK_ID_MAX_LENGTH} && ${idInForce('self')}.matches('${BANK_ID_PATTERN.source}')`,
    `without spec.id, metadata.name is the bank's id, so it must be a DNS label of at most ${BANK_ID_MAX_LENGTH} characters (a-z, 0-9, -); shorten it or set spec.id`,
  ),
  rule(
    `${idInForce('self')} == ${idInForce('oldSelf')}`,
    'spec.id never changes, because clients, tokens and the database are bound to it; create a new Bank instead',
    '.spec.id',
  ),
);

export type BankSpec = z.infer<typeof bankSpecSchema>;
export type BankStatus = z.infer<typeof bankStatusSchema>;
export type Bank = z.infer<typeof bankSchema>;

/** The id in force: `spec.id`, else the name. */
export function bankIdOf(bank: { metadata: { name: string }; spec: { id?: string | undefined } }): string {
  return bank.spec.id ?? bank.metadata.name;
}

/** Conditions of a Bank, in the order in which they come true. `Ready` sums up the others. */
export const BANK_CONDITIONS = [
  'Accepted',
  'CredentialsReady',
  'DatabaseReady',
  'ServerReady',
  'RouteReady',
  'Verified',
  'Ready',
] as const;
export type BankCondition = (typeof BANK_CONDITIONS)[number];
