import { z } from 'zod';
import { BankhouseError } from './errors.ts';
import { GROUP, VERSION } from './names.ts';
import { bankSchema } from './resources/bank.ts';
import { bankClassSchema } from './resources/bank-class.ts';
import { mcpServerSchema } from './resources/mcp-server.ts';

type Json = { [name: string]: unknown };

interface Column {
  name: string;
  type: 'string' | 'integer' | 'boolean' | 'date';
  jsonPath: string;
  description?: string;
  /** Above 0: only with `-o wide`. */
  priority?: number;
}

interface Resource {
  kind: string;
  plural: string;
  shortNames: string[];
  scope: 'Namespaced' | 'Cluster';
  description: string;
  schema: z.ZodType;
  columns: Column[];
}

const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
const PHASE: Column = { name: 'Phase', type: 'string', jsonPath: '.status.phase' };
const READY = (type: string) => `.status.conditions[?(@.type=="${type}")].message`;

const RESOURCES: readonly Resource[] = [
  {
    kind: 'Bank',
    plural: 'banks',
    shortNames: ['bk'],
    scope: 'Namespaced',
    description: 'A tenant with an MCP server of its own.',
    schema: bankSchema,
    columns: [
      PHASE,
      { name: 'URL', type: 'string', jsonPath: '.status.url' },
      { name: 'Class', type: 'string', jsonPath: '.status.className' },
      { name: 'Version', type: 'string', jsonPath: '.status.version' },
      AGE,
      { name: 'Message', type: 'string', jsonPath: READY('Ready'), priority: 1 },
    ],
  },
  {
    kind: 'BankClass',
    plural: 'bankclasses',
    shortNames: ['bkc'],
    scope: 'Cluster',
    description: 'What banks of one kind share, as StorageClass is for volumes.',
    schema: bankClassSchema,
    columns: [
      { name: 'Default', type: 'boolean', jsonPath: '.spec.default' },
      { name: 'Image', type: 'string', jsonPath: '.spec.image' },
      { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
      { name: 'Banks', type: 'integer', jsonPath: '.status.banks' },
      AGE,
      { name: 'Message', type: 'string', jsonPath: READY('Accepted'), priority: 1 },
    ],
  },
  {
    kind: 'McpServer',
    plural: 'mcpservers',
    shortNames: ['mcps'],
    scope: 'Namespaced',
    description: 'A third-party MCP server attached to a bank under a tool prefix.',
    schema: mcpServerSchema,
    columns: [
      PHASE,
      { name: 'Bank', type: 'string', jsonPath: '.spec.bankRef.name' },
      { name: 'Prefix', type: 'string', jsonPath: '.spec.toolPrefix' },
      { name: 'Enabled', type: 'boolean', jsonPath: '.spec.enabled' },
      AGE,
      { name: 'Message', type: 'string', jsonPath: READY('Accepted'), priority: 1 },
    ],
  },
];

/** The CustomResourceDefinitions of all our resources, ready to be written as YAML, by file name. */
export function customResourceDefinitions(): { file: string; definition: Json }[] {
  return RESOURCES.map((resource) => ({
    file: `${GROUP}_${resource.plural}.yaml`,
    definition: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${resource.plural}.${GROUP}` },
      spec: {
        group: GROUP,
        scope: resource.scope,
        names: {
          kind: resource.kind,
          listKind: `${resource.kind}List`,
          plural: resource.plural,
          singular: resource.kind.toLowerCase(),
          shortNames: resource.shortNames,
          categories: ['bankhouse'],
        },
        versions: [
          {
            name: VERSION,
            served: true,
            storage: true,
            subresources: { status: {} },
            additionalPrinterColumns: resource.columns,
            schema: { openAPIV3Schema: structuralSchema(resource.schema, resource.description) },
          },
        ],
      },
    },
  }));
}

/** The structural OpenAPI v3 schema of a resource; the API server itself says what metadata is. */
export function structuralSchema(schema: z.ZodType, description: string): Json {
  const root = convert(
    z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'throw' }) as Json,
    '',
  );
  const properties = root.properties as Json;
  properties.apiVersion = { type: 'string' };
  properties.kind = { type: 'string' };
  properties.metadata = { type: 'object' };
  const required = (root.required as string[] | undefined)?.filter((name) => name === 'spec') ?? [];
  const { required: _, ...rest } = root;
  return { description, ...rest, ...(required.length === 0 ? {} : { required }) };
}

/** Keywords that mean the same in JSON Schema and in a structural schema. */
const SAME = [
  'type',
  'format',
  'description',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
];
/** Keywords that say nothing here: an unknown field is pruned, never refused, and `$schema` has no place. */
const IGNORED = new Set(['$schema', 'additionalProperties', 'default', 'properties', 'items', 'pattern']);

function convert(schema: Json, path: string): Json {
  const unknown = Object.keys(schema).filter((keyword) => !SAME.includes(keyword) && !IGNORED.has(keyword));
  if (unknown.length > 0) {
    throw new BankhouseError(
      'crd_schema',
      `${path === '' ? 'the root' : path} uses ${unknown.join(', ')}, which a structural schema can't express.`,
    );
  }
  const result: Json = {};
  for (const keyword of SAME) if (schema[keyword] !== undefined) result[keyword] = schema[keyword];
  // zod bounds every integer by what a double holds exactly; that is no rule of ours.
  if (result.maximum === Number.MAX_SAFE_INTEGER) delete result.maximum;
  if (result.minimum === Number.MIN_SAFE_INTEGER) delete result.minimum;
  if (result.type === 'integer') result.format = 'int64';
  // A format comes with a pattern in zod; the API server checks the format. Other patterns come as a rule with a sentence.
  if (schema.pattern !== undefined && schema.format === undefined && !hasMatchRule(schema))
    result.pattern = schema.pattern;
  if (schema.default !== undefined) result.default = schema.type === 'object' ? {} : schema.default;
  if (schema.properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties as Record<string, Json>).map(([name, value]) => [
        name,
        path === '' && name === 'metadata' ? {} : convert(value, `${path}.${name}`),
      ]),
    );
  }
  if (schema.items !== undefined) result.items = convert(schema.items as Json, `${path}[]`);
  return result;
}

function hasMatchRule(schema: Json): boolean {
  const rules = (schema['x-kubernetes-validations'] ?? []) as { rule: string }[];
  return rules.some(({ rule }) => rule.startsWith('self.matches('));
}
