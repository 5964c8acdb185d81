import { z } from 'zod';
import { durationSchema, matching, metadataSchema, resourcesSchema, rule, statusFields, withRules } from './meta.ts';

const percentage = z.int().min(1).max(100);

const peerSchema = z.object({
  cidr: matching(/^[0-9a-f.:]+\/[0-9]{1,3}$/, 43, 'must be an address range such as 203.0.113.0/24').meta({
    description: 'Address range.',
  }),
  port: z.int().min(1).max(65535).optional().meta({ description: 'Port; absent: every port.' }),
});

export const bankClassSpecSchema = z.object({
  default: z
    .boolean()
    .default(false)
    .meta({ description: 'Class of the banks that name none. Only one class may be it.' }),
  image: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .meta({ description: "Image of the bank server. Default: the platform's own release." }),
  imagePullPolicy: z
    .enum(['Always', 'IfNotPresent', 'Never'])
    .default('IfNotPresent')
    .meta({ description: 'When a node pulls the image.' }),
  replicas: z.int().min(1).max(20).default(1).meta({ description: 'Pods of a bank that is awake.' }),
  resources: resourcesSchema.optional().meta({ description: 'Default: 10m CPU and 64Mi requested, 192Mi at most.' }),
  allowOverrides: z
    .array(z.enum(['resources']))
    .max(8)
    .default([])
    .meta({ description: 'Fields that a Bank may override.', 'x-kubernetes-list-type': 'set' }),
  idle: z
    .object({
      after: durationSchema.optional().meta({ description: 'Sleep after so long without a call; absent: never.' }),
    })
    .optional()
    .meta({ description: 'When a bank sleeps.' }),
  database: z
    .object({
      isolation: z
        .enum(['shared', 'dedicated'])
        .default('shared')
        .meta({ description: 'shared: a role in the common database. dedicated: a database of its own.' }),
    })
    .optional()
    .meta({ description: "Where a bank's rows are." }),
  credentials: z
    .object({
      rotateEvery: durationSchema.default('90d').meta({ description: 'Age at which they are replaced (R3.7).' }),
    })
    .optional()
    .meta({ description: 'Database password and seal keys.' }),
  network: z
    .object({
      egress: z.array(peerSchema).max(64).optional().meta({ description: 'Reachable beside DNS and Postgres.' }),
    })
    .optional()
    .meta({ description: "What a bank's pods may reach." }),
  rollout: withRules(
    z.object({
      cohorts: z.array(percentage).min(1).max(10).optional().meta({
        description: 'Growing shares of the banks, in percent, that get a new image one after the other.',
      }),
      healthGate: z
        .object({
          maxFailing: percentage.default(1).meta({ description: 'Share of failing banks, in percent, that halts.' }),
          over: durationSchema.default('5m').meta({ description: 'How long a cohort is watched.' }),
        })
        .optional()
        .meta({ description: 'What must hold before the next cohort.' }),
      halt: z.boolean().default(false).meta({ description: 'true: no further bank is moved to a new image.' }),
    }),
    rule(
      '!has(self.cohorts) || (self.cohorts.isSorted() && self.cohorts.all(c, self.cohorts.exists_one(d, d == c)))',
      'must grow from each share to the next, such as [5, 25, 100]',
      '.cohorts',
    ),
  )
    .optional()
    .meta({ description: 'How a new image reaches the banks.' }),
});

export const bankClassStatusSchema = z.object({
  ...statusFields,
  banks: z.int().min(0).optional().meta({ description: 'Banks of this class.' }),
});

export const bankClassSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: metadataSchema,
  spec: bankClassSpecSchema
    .default(() => bankClassSpecSchema.parse({}))
    .meta({ description: 'What banks of this class share.' }),
  status: bankClassStatusSchema.optional().meta({ description: 'What is; written by the operator alone.' }),
});

export type BankClassSpec = z.infer<typeof bankClassSpecSchema>;
export type BankClass = z.infer<typeof bankClassSchema>;
