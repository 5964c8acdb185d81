import { type Bank, GROUP, type McpServer, VERSION } from '@bankhouse/core';

const API = `/apis/${GROUP}/${VERSION}`;

/** Collections of our own resources. */
export const BANKS_PATH = `${API}/banks`;
export const BANK_CLASSES_PATH = `${API}/bankclasses`;
export const MCP_SERVERS_PATH = `${API}/mcpservers`;

export function bankPath(bank: Pick<Bank, 'metadata'>): string {
  return `${API}/namespaces/${bank.metadata.namespace}/banks/${bank.metadata.name}`;
}

export function bankClassPath(name: string): string {
  return `${BANK_CLASSES_PATH}/${name}`;
}

export function mcpServerPath(server: Pick<McpServer, 'metadata'>): string {
  return `${API}/namespaces/${server.metadata.namespace}/mcpservers/${server.metadata.name}`;
}
