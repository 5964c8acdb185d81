export { type Admin, type AdminAnswers, answerAdmin, startAdmin } from './admin.ts';
export {
  ASSERTION_HEADER_PREFIX,
  ASSERTION_MAX_BYTES,
  ASSERTION_SKEW_SECONDS,
  ASSERTION_WINDOW_SECONDS,
  type Assertion,
  AssertionError,
  DATABASE_ASSERTION_HEADER,
  deriveSealKey,
  openAssertion,
  POD_ASSERTION_HEADER,
  payloadOf,
  type SealTarget,
  sealAssertion,
  sealPayload,
} from './assertion.ts';
export {
  BANK_ID_MAX_LENGTH,
  BANK_ID_PATTERN,
  bankMetadataUrl,
  bankPath,
  bankUrl,
  isBankId,
  parseBankTarget,
  VAULT_ID_PATTERN,
} from './bank-id.ts';
export {
  databaseUrlAt,
  databaseUrlSchema,
  type Environment,
  frontDoorSchema,
  loadConfig,
  logLevelSchema,
  namespacesSchema,
  portSchema,
  wholeNumber,
  withPassword,
} from './config.ts';
export {
  type DatabaseServer,
  databaseServersVariables,
  operatorUrlAt,
  ownerUrlAt,
  SERVER_DATABASE,
  serverPassword,
} from './database-servers.ts';
export { parseDuration } from './duration.ts';
export {
  EMBEDDINGS_MAX_DIMENSIONS,
  type EmbeddingsConfig,
  type EmbeddingsVariables,
  embeddingsConfig,
  embeddingsVariables,
} from './embeddings.ts';
export { BankhouseError, ConfigError, EXIT_CONFIG, messageOf } from './errors.ts';
export { RPC } from './json-rpc.ts';
export {
  BATCH_MAX_MESSAGES,
  JSON_MAX_DEPTH,
  JSON_MAX_VALUES,
  jsonWithinBounds,
  REQUEST_BODY_MAX_BYTES,
  REQUEST_HEADERS_MAX_BYTES,
  SEALED_HEADERS_MAX_BYTES,
} from './limits.ts';
export { createLogger, flatLines, type Logger, REDACTED_FIELDS } from './log.ts';
export { MCP_HEADERS, MODERN_REVISION } from './mcp.ts';
export { Counter, createRegistry, Gauge, Histogram, type Registry } from './metrics.ts';
export {
  API_VERSION,
  BANK_LABEL,
  BANK_POD_SELECTOR,
  BANK_SECRET_DIR,
  BANK_SERVER_COMPONENT,
  BANK_SERVER_CONTAINER,
  BANK_SERVER_PORT,
  CLASS_FINALIZER,
  CLASS_LABEL,
  CLASS_NAME_MAX_LENGTH,
  COMPONENT_LABEL,
  childLabels,
  childName,
  classOfPolicy,
  classPolicyName,
  DEFAULT_CLASS_ANNOTATION,
  databaseRole,
  EMBEDDINGS_LABEL,
  ERASE_NOW_ANNOTATION,
  embeddingsPolicyName,
  FIELD_MANAGER,
  FINALIZER,
  GATEWAY_COMPONENT,
  GROUP,
  LIFT_QUARANTINE_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  MOVE_ANNOTATION,
  NAME_LABEL,
  SECRET_BANK_NAME,
  SECRET_DATABASE_URL,
  SECRET_EMBEDDINGS_KEY,
  SECRET_PASSWORD_PROOF,
  SECRET_SEAL_KEYS,
  SECRET_TOOL_PROFILE,
  VERSION,
} from './names.ts';
export { type Access, allows } from './policy/access.ts';
export {
  BUILT_IN_CATALOGUE,
  type Catalogue,
  type CatalogueTool,
  type KnownCatalogue,
  type ToolAccess,
  type ToolLookup,
} from './policy/catalogue.ts';
export {
  type Decision,
  decide,
  decideAll,
  type Grant,
  isKnown,
  LISTEN_OPERATION,
  meantTool,
  type Operation,
  SESSION_OPERATION,
} from './policy/decide.ts';
export { type BankResource, bankResourcesAt, type Resource } from './policy/resource.ts';
export { checkProof, PROOF_HEADER, PROVEN_IMAGE_HEADER, proofOf } from './proof.ts';
export {
  BANK_CONDITIONS,
  type Bank,
  type BankCondition,
  type BankSpec,
  type BankStatus,
  bankIdOf,
  bankSchema,
  bankSpecSchema,
  bankStatusSchema,
  PROVEN_IMAGES_MAX,
  TOOLSETS,
  type Toolset,
} from './resources/bank.ts';
export {
  type BankClass,
  type BankClassSpec,
  bankClassSchema,
  bankClassSpecSchema,
  isDefaultClass,
} from './resources/bank-class.ts';
export {
  type McpServer,
  type McpServerSpec,
  mcpServerSchema,
  mcpServerSpecSchema,
  TOOL_NAME_MAX_LENGTH,
} from './resources/mcp-server.ts';
export {
  type Condition,
  conditionSchema,
  type Metadata,
  metadataSchema,
  type Quantity,
  type ResourceLimits,
} from './resources/meta.ts';
export { generationUpTo, newestGeneration, type RootKeys, rootKeysSchema } from './root-keys.ts';
export { sameText } from './same-text.ts';
export { DATABASE_LOGIN_REFUSED, SCOPES, type Scope } from './scopes.ts';
export { SCRAM_ITERATIONS_OF_CHANCE, scramVerifier } from './scram.ts';
export {
  CATALOGUE_DIGEST_LENGTH,
  CATALOGUE_HEADER,
  CATALOGUE_MAX_BYTES,
  CATALOGUE_PATH,
  CATALOGUE_WANTED,
  CatalogueError,
  catalogueDigest,
  type Offered,
  readCatalogue,
  type SentCatalogue,
  writeCatalogue,
} from './sent-catalogue.ts';
export {
  scopesOf,
  TOKEN_DEFAULT_TTL_SECONDS,
  TOKEN_MAX_TTL_SECONDS,
  TOKEN_TYPE,
  type TokenClaims,
  tokenClaimsSchema,
} from './token.ts';
export {
  isToolProfile,
  TOOL_PROFILE_PARAMETER,
  TOOL_PROFILE_UNKNOWN,
  TOOL_PROFILES,
  type ToolProfile,
  toolProfileOf,
} from './tool-profiles.ts';
export { bankOfPod, field, listOf, textOf } from './untrusted.ts';
