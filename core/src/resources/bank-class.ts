import { z } from 'zod';
import { CLASS_NAME_MAX_LENGTH, DEFAULT_CLASS_ANNOTATION } from '../names.ts';
import {
  cidrSchema,
  imageSchema,
  labelsSchema,
  labelValueSchema,
  type Metadata,
  matching,
  metadataSchema,
  notSupported,
  objectNameSchema,
  qualifiedNameSchema,
  resourcesSchema,
  rule,
  statusFields,
  withRules,
} from './meta.ts';

const peerSchema = z.object({
  cidr: cidrSchema.meta({ description: 'Address range.' }),
  port: z.int().min(1).max(65535).optional().meta({ description: 'Port; absent: every port.' }),
});

/** As in a pod, with the rules by which the API server would refuse the pod (core/v1 validation). */
const tolerationSchema = withRules(
  z.object({
    key: qualifiedNameSchema.optional().meta({ description: 'Of the taint; absent: every taint.' }),
    operator: z.enum(['Equal', 'Exists']).default('Equal').meta({ description: 'Exists: whatever the value is.' }),
    value: labelValueSchema.optional().meta({ description: 'Of the taint.' }),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .meta({ description: 'Of the taint; absent: every effect.' }),
    tolerationSeconds: z.int().optional().meta({ description: 'How long a pod stays after the taint came.' }),
  }),
  rule("has(self.key) || self.operator == 'Exists'", 'without a key the operator must be Exists', '.operator'),
  rule("!has(self.value) || self.value == '' || self.operator == 'Equal'", 'Exists takes no value', '.value'),
  rule(
    "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    'is only for the effect NoExecute',
    '.tolerationSeconds',
  ),
);

const spreadSchema = withRules(
  z.object({
    maxSkew: z.int().min(1).meta({ description: 'By how many pods two places may differ.' }),
    topologyKey: qualifiedNameSchema.meta({ description: 'Label of nodes that says the place.' }),
    whenUnsatisfiable: z
      .enum(['DoNotSchedule', 'ScheduleAnyway'])
      .meta({ description: 'What becomes of a pod that fits nowhere.' }),
    minDomains: z.int().min(1).optional().meta({ description: 'How many places there must be.' }),
    nodeAffinityPolicy: z.enum(['Honor', 'Ignore']).optional().meta({ description: 'Whether nodeSelector counts.' }),
    nodeTaintsPolicy: z.enum(['Honor', 'Ignore']).optional().meta({ description: 'Whether tolerations count.' }),
  }),
  rule(
    "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
    'is only for DoNotSchedule',
    '.minDomains',
  ),
);

const allowedNamespacesSchema = withRules(
  z.object({
    names: z
      .array(
        matching(
          /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
          63,
          'must be the name of a namespace: lower-case letters, digits and "-"',
        ),
      )
      .max(256)
      .optional()
      .meta({ description: 'Namespaces by name.', 'x-kubernetes-list-type': 'set' }),
    matchLabels: labelsSchema.optional().meta({ description: 'Labels, of which a namespace must have every one.' }),
  }),
  rule(
    'has(self.names) || has(self.matchLabels)',
    'give names, matchLabels or both; without the field all are allowed',
  ),
  rule('!has(self.matchLabels) || self.matchLabels.size() > 0', 'must have at least one label', '.matchLabels'),
);

export const bankClassSpecSchema = z.object({
  default: notSupported(
    'boolean',
    `mark the class of the banks that name none by the annotation ${DEFAULT_CLASS_ANNOTATION}: "true".`,
  ),
  image: imageSchema.optional().meta({ description: "Image of the bank server. Default: the platform's own release." }),
  imagePullPolicy: z
    .enum(['Always', 'IfNotPresent', 'Never'])
    .default('IfNotPresent')
    .meta({ description: 'When a node pulls the image.' }),
  imagePullSecrets: z
    .array(z.object({ name: objectNameSchema.meta({ description: 'Name of the Secret.' }) }))
    .max(16)
    .optional()
    .meta({
      description: "Secrets of the bank's own namespace with which nodes pull the image.",
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    }),
  replicas: z.int().min(1).max(20).default(1).meta({ description: 'Pods of a bank that is awake.' }),
  resources: resourcesSchema.optional().meta({ description: 'Default: 10m CPU and 64Mi requested, 192Mi at most.' }),
  nodeSelector: labelsSchema.optional().meta({ description: 'Labels that a node must have.' }),
  tolerations: z.array(tolerationSchema).max(32).optional().meta({ description: 'Taints of nodes that pods accept.' }),
  topologySpreadConstraints: z
    .array(spreadSchema)
    .max(8)
    .optional()
    .meta({
      description: "How a bank's pods spread over nodes; counted are the pods of that bank and revision.",
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['topologyKey', 'whenUnsatisfiable'],
    }),
  priorityClassName: objectNameSchema.optional().meta({ description: 'PriorityClass of the pods.' }),
  runtimeClassName: objectNameSchema
    .optional()
    .meta({ description: 'RuntimeClass of the pods, such as one of gVisor or Kata.' }),
  allowOverrides: z
    .array(z.enum(['resources']))
    .max(8)
    .default([])
    .meta({ description: 'Fields that a Bank may override.', 'x-kubernetes-list-type': 'set' }),
  allowedNamespaces: allowedNamespacesSchema.optional().meta({
    description: 'Where Banks may take the class: in namespaces of these names or labels; absent: everywhere.',
  }),
  maxBanksPerNamespace: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'How many Banks of a namespace may take the class; absent: no limit.' }),
  idle: notSupported('object', 'banks do not sleep yet; leave spec.idle out. spec.suspend of a Bank stops its pods.'),
  database: z
    .object({
      isolation: z.enum(['shared', 'dedicated']).default('shared').meta({
        description:
          'shared: a role of its own in the common database, and no sight of others. dedicated: a database of its own, where the chart has database.dedicated.enabled. A bank that has rows stays where they are, until its Bank is annotated with bankhouse.dev/move-database=true.',
      }),
      secretRef: z
        .object({
          name: objectNameSchema.meta({ description: "Name of the server in the chart's database.servers." }),
        })
        .optional()
        .meta({ description: "Another Postgres than the platform's own, for rows of new banks." }),
    })
    .optional()
    .meta({ description: "Where a bank's rows are." }),
  credentials: z
    .object({
      rotateEvery: notSupported(
        'string',
        'credentials are not rotated by themselves yet; leave spec.credentials.rotateEvery out.',
      ),
    })
    .optional()
    .meta({ description: 'Database password and seal keys.' }),
  network: z
    .object({
      egress: z.array(peerSchema).max(64).optional().meta({ description: 'Reachable beside DNS and Postgres.' }),
    })
    .optional()
    .meta({ description: "What a bank's pods may reach." }),
  rollout: notSupported(
    'object',
    'a new image reaches all banks of the class at once; leave spec.rollout out. Several classes make several steps.',
  ),
});

export const bankClassStatusSchema = z.object({
  ...statusFields,
  banks: z.int().min(0).optional().meta({ description: 'Banks of this class.' }),
});

export const bankClassSchema = withRules(
  z.object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: metadataSchema,
    spec: bankClassSpecSchema
      .default(() => bankClassSpecSchema.parse({}))
      .meta({ description: 'What banks of this class share.' }),
    status: bankClassStatusSchema.optional().meta({ description: 'What is; written by the operator alone.' }),
  }),
  rule(
    `self.metadata.name.size() <= ${CLASS_NAME_MAX_LENGTH}`,
    `metadata.name must have at most ${CLASS_NAME_MAX_LENGTH} characters, because pods carry it as a label`,
  ),
);

/** Whether the class is that of banks that name none. Marked by an annotation, as a StorageClass is. */
export function isDefaultClass(bankClass: { metadata: Metadata }): boolean {
  return bankClass.metadata.annotations?.[DEFAULT_CLASS_ANNOTATION] === 'true';
}

export type BankClassSpec = z.infer<typeof bankClassSpecSchema>;
export type BankClass = z.infer<typeof bankClassSchema>;
