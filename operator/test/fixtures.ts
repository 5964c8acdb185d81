import {
  type Bank,
  type BankClass,
  bankClassSpecSchema,
  bankSpecSchema,
  DEFAULT_CLASS_ANNOTATION,
  type McpServer,
} from '@bankhouse/core';
import type { StoredChild } from '../src/cluster/stored.ts';
import type { Settings } from '../src/settings.ts';

export const settings: Settings = {
  FRONT_DOOR_URL: 'https://mcp.example.com',
  ROOT_KEY: new Map([[1, Buffer.alloc(32, 7)]]),
  DATABASE_URL: 'postgres://bankhouse_operator@db.example.com:5432/bankhouse?sslmode=require',
  DEDICATED_DATABASES: false,
  SERVERS: new Map(),
  SERVER_IMAGE: 'registry.example.com:5000/bankhouse/server:1.2.3',
  PLATFORM_NAMESPACE: 'bankhouse-system',
  DATABASE_EGRESS: [{ namespace: 'bankhouse-system', podLabels: { app: 'postgres' }, port: 5432 }],
  DNS_EGRESS: [{ cidr: '198.19.0.10/32', port: 53 }],
  LOG_LEVEL: 'info',
};

export function aBank(spec: Partial<Bank['spec']> = {}, metadata: Partial<Bank['metadata']> = {}): Bank {
  return {
    apiVersion: 'bankhouse.dev/v1alpha1',
    kind: 'Bank',
    metadata: {
      name: 'acme',
      namespace: 'banks',
      uid: 'uid-acme',
      generation: 1,
      creationTimestamp: '2026-11-21T10:00:00Z',
      ...metadata,
    },
    spec: { ...bankSpecSchema.parse({}), ...spec },
  };
}

export function aClass(
  name: string,
  spec: Partial<BankClass['spec']> = {},
  mark: { isDefault?: boolean } = {},
): BankClass {
  const annotations = mark.isDefault === true ? { [DEFAULT_CLASS_ANNOTATION]: 'true' } : {};
  return {
    apiVersion: 'bankhouse.dev/v1alpha1',
    kind: 'BankClass',
    metadata: { name, generation: 1, annotations },
    spec: { ...bankClassSpecSchema.parse({}), ...spec },
  };
}

export function anMcpServer(name: string, toolPrefix: string, creationTimestamp: string): McpServer {
  return {
    apiVersion: 'bankhouse.dev/v1alpha1',
    kind: 'McpServer',
    metadata: { name, namespace: 'banks', uid: `uid-${name}`, creationTimestamp },
    spec: { bankRef: { name: 'acme' }, toolPrefix, enabled: true, priority: 100 },
  };
}

export function aDeployment(status: StoredChild['status']): StoredChild {
  return {
    metadata: { name: 'bank-acme', namespace: 'banks', uid: 'uid-d', generation: 2 },
    ownedDigest: 'x',
    ...(status === undefined ? {} : { status }),
  };
}

export function aDefaultClass(name: string, creationTimestamp: string): BankClass {
  const bankClass = aClass(name, {}, { isDefault: true });
  return { ...bankClass, metadata: { ...bankClass.metadata, creationTimestamp } };
}
