import { z } from 'zod';
import { BankhouseError } from './errors.ts';
import { DEFAULT_CLASS_ANNOTATION, GROUP, VERSION } from './names.ts';
import { bankSchema } from './resources/bank.ts';
import { bankClassSchema } from './resources/bank-class.ts';
import { mcpServerSchema } from './resources/mcp-server.ts';
import { REFUSED, type Rule, rule } from './resources/meta.ts';

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
const READY = (field: 'status' | 'reason') => `.status.conditions[?(@.type=="Ready")].${field}`;
const ACCEPTED_MESSAGE = '.status.conditions[?(@.type=="Accepted")].message';
const PHASE: Column = { name: 'Phase', type: 'string', jsonPath: '.status.phase' };

const RESOURCES: readonly Resource[] = [
  {
    kind: 'Bank',
    plural: 'banks',
    shortNames: ['bk'],
    scope: 'Namespaced',
    description: 'A tenant with an MCP server of its own.',
    schema: bankSchema,
    columns: [
      { name: 'ID', type: 'string', jsonPath: '.status.id' },
      { name: 'Ready', type: 'string', jsonPath: READY('status') },
      { name: 'Reason', type: 'string', jsonPath: READY('reason') },
      AGE,
      { name: 'URL', type: 'string', jsonPath: '.status.url', priority: 1 },
      { name: 'Class', type: 'string', jsonPath: '.status.className', priority: 1 },
      { name: 'Version', type: 'string', jsonPath: '.status.version', priority: 1 },
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
      {
        name: 'Default',
        type: 'string',
        jsonPath: `.metadata.annotations.${DEFAULT_CLASS_ANNOTATION.replaceAll('.', '\\.')}`,
      },
      { name: 'Banks', type: 'integer', jsonPath: '.status.banks' },
      { name: 'Image', type: 'string', jsonPath: '.spec.image' },
      AGE,
    ],
  },
  {
    kind: 'McpServer',
    plural: 'mcpservers',
    shortNames: ['mcps'],
    scope: 'Namespaced',
    description:
      'A third-party MCP server to be attached to a bank under a tool prefix. It is checked, and not attached yet: its tools are not offered.',
    schema: mcpServerSchema,
    columns: [
      PHASE,
      { name: 'Bank', type: 'string', jsonPath: '.spec.bankRef.name' },
      { name: 'Prefix', type: 'string', jsonPath: '.spec.toolPrefix' },
      { name: 'Enabled', type: 'boolean', jsonPath: '.spec.enabled' },
      AGE,
      { name: 'Message', type: 'string', jsonPath: ACCEPTED_MESSAGE, priority: 1 },
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
  'maxProperties',
  'required',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
];
/** Keywords that say nothing here: an unknown field is pruned, never refused, and `$schema` has no place. */
const IGNORED = new Set([
  '$schema',
  'additionalProperties',
  'default',
  'properties',
  'propertyNames',
  'items',
  'pattern',
]);

function convert(schema: Json, path: string): Json {
  if (schema[REFUSED] !== undefined) return refusedField(schema);
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  const unknown = Object.keys(schema).filter(
    (keyword) => !SAME.includes(keyword) && !IGNORED.has(keyword) && !(isIntOrString && keyword === 'anyOf'),
  );
  if (unknown.length > 0) {
    throw new BankhouseError(
      'crd_schema',
      `${path === '' ? 'the root' : path} uses ${unknown.join(', ')}, which a structural schema can't express.`,
    );
  }
  const result: Json = {};
  for (const keyword of SAME) if (schema[keyword] !== undefined) result[keyword] = schema[keyword];
  // What the two forms are allowed to be is in the rule; the API server takes only this very list here.
  if (isIntOrString) result.anyOf = [{ type: 'integer' }, { type: 'string' }];
  // zod bounds every integer by what a double holds exactly; that is no rule of ours.
  if (result.maximum === Number.MAX_SAFE_INTEGER) delete result.maximum;
  if (result.minimum === Number.MIN_SAFE_INTEGER) delete result.minimum;
  if (result.type === 'integer') result.format = 'int64';
  // A format comes with a pattern in zod; the API server checks the format. Other patterns come as a rule with a sentence.
  if (schema.pattern !== undefined && schema.format === undefined && !hasTextRule(schema))
    result.pattern = schema.pattern;
  if (schema.default !== undefined) result.default = schema.type === 'object' ? {} : schema.default;
  if (schema.properties !== undefined) {
    const properties = schema.properties as Record<string, Json>;
    result.properties = Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [
        name,
        path === '' && name === 'metadata' ? {} : convert(value, `${path}.${name}`),
      ]),
    );
    const rules = [...((schema['x-kubernetes-validations'] ?? []) as Rule[]), ...refusals(properties)];
    if (rules.length > 0) result['x-kubernetes-validations'] = rules;
  } else if (typeof schema.additionalProperties === 'object') {
    result.additionalProperties = convert(schema.additionalProperties as Json, `${path}{}`);
  }
  if (schema.items !== undefined) result.items = convert(schema.items as Json, `${path}[]`);
  return result;
}

interface Refused {
  type: string;
  message: string;
}

function refusedField(schema: Json): Json {
  const { type } = schema[REFUSED] as Refused;
  const anything = type === 'object' ? { 'x-kubernetes-preserve-unknown-fields': true } : {};
  return { type, description: schema.description, ...anything };
}

/** A rule for each field that is refused; it has to stand where the field would be. */
function refusals(properties: Record<string, Json>): Rule[] {
  return Object.entries(properties)
    .filter(([, schema]) => schema[REFUSED] !== undefined)
    .map(([name, schema]) => rule(`!has(self.${name})`, (schema[REFUSED] as Refused).message, `.${name}`));
}

/** Whether the form of a text is judged by a rule, whose words are better than the pattern. */
function hasTextRule(schema: Json): boolean {
  const rules = (schema['x-kubernetes-validations'] ?? []) as Rule[];
  return rules.some((one) => one.rule.startsWith('self.matches(') || one.rule.startsWith('isCIDR('));
}
