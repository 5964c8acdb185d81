export { type BankServer, startBankServer } from './bank-server.ts';
export { loadServerConfig, type ServerConfig } from './config.ts';
export { ERROR_META_KEY, ToolError, type ToolErrorCode } from './mcp/tool-error.ts';
export {
  type CallContext,
  defineTool,
  type ResourcePage,
  type ResourceProvider,
  type Tool,
  type ToolAnswer,
  type Toolset,
} from './mcp/toolset.ts';
