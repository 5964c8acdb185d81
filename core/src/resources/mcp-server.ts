import { z } from 'zod';
import { imageSchema, matching, metadataSchema, resourcesSchema, rule, statusFields, withRules } from './meta.ts';

/** Tool names longer than this break clients, prefix included (facts of the MCP protocol). */
export const TOOL_NAME_MAX_LENGTH = 64;

const envName = matching(
  /^[A-Z_][A-Z0-9_]*$/,
  128,
  'must be the name of an environment variable: upper-case letters, digits and "_"',
);

const containerSchema = z.object({
  image: imageSchema.meta({ description: 'Image to run.' }),
  command: z
    .array(z.string().max(1024))
    .max(32)
    .optional()
    .meta({ description: "Instead of the image's entry point." }),
  args: z.array(z.string().max(1024)).max(64).optional().meta({ description: "Instead of the image's arguments." }),
  port: z.int().min(1).max(65535).default(8080).meta({ description: 'Port of its streamable HTTP endpoint.' }),
  path: matching(/^\//, 256, 'must begin with "/"').default('/mcp').meta({ description: 'Path of that endpoint.' }),
  resources: resourcesSchema.optional().meta({ description: 'Of its container.' }),
});

const stdioSchema = z.object({
  image: imageSchema.meta({ description: 'Image that has the command.' }),
  command: z.string().min(1).max(1024).meta({ description: 'Program, not a shell line (R5.1: not empty).' }),
  args: z.array(z.string().max(1024)).min(1).max(64).meta({ description: 'Arguments (R5.1: not empty).' }),
  resources: resourcesSchema.optional().meta({ description: 'Of its container.' }),
});

const remoteSchema = z.object({
  url: matching(/^https:\/\//, 2048, 'must be an https URL').meta({
    description: 'https URL of a streamable HTTP endpoint.',
  }),
});

const credentialSchema = z.object({
  env: envName.meta({ description: 'Environment variable that the server reads.' }),
  service: z.string().min(1).max(63).meta({ description: "The stored credential's service." }),
  type: z.string().min(1).max(63).meta({ description: "The stored credential's type." }),
});

const egressSchema = z.object({
  host: matching(/^[a-z0-9.-]+$/, 253, 'must be a DNS name in lower case').meta({
    description: 'DNS name that the server may open connections to.',
  }),
  port: z.int().min(1).max(65535).default(443).meta({ description: 'Port there.' }),
});

const toolsSchema = z.object({
  allow: z.array(z.string().min(1).max(128)).max(256).optional().meta({ description: 'Tools offered; absent: all.' }),
  pinnedContract: matching(/^sha256:[0-9a-f]{64}$/, 71, 'must be sha256: and 64 hexadecimal digits')
    .optional()
    .meta({ description: 'Digest of the tool list that was reviewed; another list is refused.' }),
});

export const mcpServerSpecSchema = withRules(
  z.object({
    bankRef: z
      .object({ name: z.string().min(1).max(253).meta({ description: 'Name of the Bank.' }) })
      .meta({ description: 'Bank in the same namespace that the server is attached to.' }),
    toolPrefix: matching(
      /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?\.$/,
      32,
      'must end with "." after lower-case letters, digits, "-" and "_", such as amazon.',
    ).meta({ description: 'Put in front of every tool name; ends with "." and is unique in the bank (R5.1).' }),
    enabled: z.boolean().default(true).meta({ description: 'false: its tools are not offered.' }),
    priority: z.int().min(0).max(1000).default(100).meta({ description: 'Weight where answers are merged (R4.5).' }),
    container: containerSchema.optional().meta({ description: 'A container that serves streamable HTTP.' }),
    stdio: stdioSchema.optional().meta({ description: 'A program that speaks MCP on standard input and output.' }),
    remote: remoteSchema.optional().meta({ description: 'A server that runs elsewhere.' }),
    credentials: z
      .array(credentialSchema)
      .max(32)
      .optional()
      .meta({
        description: 'Stored credentials that it gets.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['env'],
      }),
    egress: z.array(egressSchema).max(64).optional().meta({ description: 'What its pod may reach; absent: nothing.' }),
    tools: toolsSchema.optional().meta({ description: 'Which of its tools are offered.' }),
  }),
  rule(
    '[has(self.container), has(self.stdio), has(self.remote)].filter(x, x).size() == 1',
    'give exactly one of container, stdio and remote',
  ),
  rule(
    `!has(self.tools) || !has(self.tools.allow) || self.tools.allow.all(t, self.toolPrefix.size() + t.size() <= ${TOOL_NAME_MAX_LENGTH})`,
    `a tool's name with its prefix must have at most ${TOOL_NAME_MAX_LENGTH} characters, or clients break; shorten toolPrefix`,
  ),
  rule('self.bankRef.name == oldSelf.bankRef.name', 'spec.bankRef never changes: create a new McpServer instead'),
);

export const mcpServerStatusSchema = z.object({
  ...statusFields,
  url: z.string().optional().meta({ description: "Where the bank's pod reaches it." }),
  contract: z.string().optional().meta({ description: 'Digest of the tool list as last seen.' }),
});

export const mcpServerSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: metadataSchema,
  spec: mcpServerSpecSchema.meta({ ...mcpServerSpecSchema.meta(), description: 'What is wanted.' }),
  status: mcpServerStatusSchema.optional().meta({ description: 'What is; written by the operator alone.' }),
});

export type McpServerSpec = z.infer<typeof mcpServerSpecSchema>;
export type McpServer = z.infer<typeof mcpServerSchema>;
