import { z } from 'zod';
import { durationSchema, metadataSchema, resourcesSchema, rule, statusFields, withRules } from './meta.ts';

const percentage = z.int().min(1).max(100);

const peerSchema = z.object({
  cidr: z
    .string()
    .max(43)
    .regex(/^[0-9a-f.:]+\/[0-9]{1,3}$/)
    .meta({ description: 'Address range.' }),
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
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  replicas: z.int().min(1).max(20).default(1),
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
    .optional(),
  database: z.object({ isolation: z.enum(['shared', 'dedicated']).default('shared') }).optional(),
  credentials: z.object({ rotateEvery: durationSchema.default('90d') }).optional(),
  network: z
    .object({
      egress: z.array(peerSchema).max(64).optional().meta({ description: 'Reachable beside DNS and Postgres.' }),
    })
    .optional(),
  rollout: withRules(
    z.object({
      cohorts: z.array(percentage).min(1).max(10).optional().meta({
        description: 'Growing shares of the banks, in percent, that get a new image one after the other.',
      }),
      healthGate: z.object({ maxFailing: percentage.default(1), over: durationSchema.default('5m') }).optional(),
      halt: z.boolean().default(false).meta({ description: 'true: no further bank is moved to a new image.' }),
    }),
    rule(
      '!has(self.cohorts) || self.cohorts.all(c, self.cohorts.filter(d, d == c).size() == 1)',
      'rollout.cohorts must grow, such as [5, 25, 100]; a share stands there twice',
    ),
  ).optional(),
});

export const bankClassStatusSchema = z.object({
  ...statusFields,
  banks: z.int().min(0).optional().meta({ description: 'Banks of this class.' }),
});

export const bankClassSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: metadataSchema,
  spec: bankClassSpecSchema,
  status: bankClassStatusSchema.optional(),
});

export type BankClassSpec = z.infer<typeof bankClassSpecSchema>;
export type BankClass = z.infer<typeof bankClassSchema>;
