export { type BankServer, startBankServer } from './bank-server.ts';
export { loadServerConfig, type ServerConfig } from './config.ts';
export type { Database } from './database/database.ts';
export { type Statement, statement, statementTexts } from './database/statement.ts';
export type { Transaction } from './database/transaction.ts';
export { ERROR_META_KEY, ToolError, type ToolErrorCode } from './mcp/tool-error.ts';
export {
  type CallContext,
  type Completer,
  type Completion,
  type CompletionContext,
  definePrompt,
  defineTool,
  type Prompt,
  type ResourcePage,
  type ResourceProvider,
  type Tool,
  type ToolAnswer,
  type Toolset,
} from './mcp/toolset.ts';
export { toolsetsNamed } from './toolsets/index.ts';
