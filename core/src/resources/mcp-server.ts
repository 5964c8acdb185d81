import { z } from 'zod';
import { metadataSchema, resourcesSchema, rule, statusFields, withRules } from './meta.ts';

/** Tool names longer than this break clients, prefix included (facts of the MCP protocol). */
export const TOOL_NAME_MAX_LENGTH = 64;

const envName = z
  .string()
  .max(128)
  .regex(/^[A-Z_][A-Z0-9_]*$/);

const containerSchema = z.object({
  image: z.string().min(1).max(512),
  command: z.array(z.string().max(1024)).max(32).optional(),
  args: z.array(z.string().max(1024)).max(64).optional(),
  port: z.int().min(1).max(65535).default(8080).meta({ description: 'Port of its streamable HTTP endpoint.' }),
  path: z.string().max(256).regex(/^\//).default('/mcp'),
  resources: resourcesSchema.optional(),
});

const stdioSchema = z.object({
  image: z.string().min(1).max(512).meta({ description: 'Image that has the command.' }),
  command: z.string().min(1).max(1024).meta({ description: 'Program, not a shell line (R5.1: not empty).' }),
  args: z.array(z.string().max(1024)).min(1).max(64).meta({ description: 'Arguments (R5.1: not empty).' }),
  resources: resourcesSchema.optional(),
});

const remoteSchema = z.object({
  url: z
    .string()
    .max(2048)
    .regex(/^https:\/\//)
    .meta({ description: 'https URL of a streamable HTTP endpoint.' }),
});

const credentialSchema = z.object({
  env: envName.meta({ description: 'Environment variable that the server reads.' }),
  service: z.string().min(1).max(63).meta({ description: "The stored credential's service." }),
  type: z.string().min(1).max(63).meta({ description: "The stored credential's type." }),
});

const egressSchema = z.object({
  host: z
    .string()
    .max(253)
    .regex(/^[a-z0-9.-]+$/)
    .meta({ description: 'DNS name that the server may open connections to.' }),
  port: z.int().min(1).max(65535).default(443),
});

const toolsSchema = z.object({
  allow: z.array(z.string().min(1).max(128)).max(256).optional().meta({ description: 'Tools offered; absent: all.' }),
  pinnedContract: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional()
    .meta({ description: 'Digest of the tool list that was reviewed; another list is refused.' }),
});

export const mcpServerSpecSchema = withRules(
  z.object({
    bankRef: z
      .object({ name: z.string().min(1).max(253) })
      .meta({ description: 'Bank in the same namespace that the server is attached to.' }),
    toolPrefix: z
      .string()
      .max(32)
      .regex(/^[a-z0-9]([a-z0-9_-]*[a-z0-9])?\.$/)
      .meta({ description: 'Put in front of every tool name; ends with "." and is unique in the bank (R5.1).' }),
    enabled: z.boolean().default(true),
    priority: z.int().min(0).max(1000).default(100).meta({ description: 'Weight where answers are merged (R4.5).' }),
    container: containerSchema.optional(),
    stdio: stdioSchema.optional(),
    remote: remoteSchema.optional(),
    credentials: z
      .array(credentialSchema)
      .max(32)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['env'] }),
    egress: z.array(egressSchema).max(64).optional(),
    tools: toolsSchema.optional(),
  }),
  rule(
    '[has(self.container), has(self.stdio), has(self.remote)].filter(x, x).size() == 1',
    'give exactly one of container, stdio and remote',
  ),
  rule(
    `!has(self.tools) || !has(self.tools.allow) || self.tools.allow.all(t, (self.toolPrefix + t).size() <= ${TOOL_NAME_MAX_LENGTH})`,
    `a tool's name with its prefix must have at most ${TOOL_NAME_MAX_LENGTH} characters, or clients break; shorten toolPrefix`,
  ),
  rule('self.bankRef.name == oldSelf.bankRef.name', 'spec.bankRef never changes: create a new McpServer instead'),
);

export const mcpServerStatusSchema = z.object({
  ...statusFields,
  url: z.string().optional(),
  contract: z.string().optional().meta({ description: 'Digest of the tool list as last seen.' }),
});

export const mcpServerSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: metadataSchema,
  spec: mcpServerSpecSchema,
  status: mcpServerStatusSchema.optional(),
});

export type McpServerSpec = z.infer<typeof mcpServerSpecSchema>;
export type McpServer = z.infer<typeof mcpServerSchema>;
