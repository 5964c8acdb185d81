import { randomBytes } from 'node:crypto';
import type { Settings } from '@bankhouse/operator';

export const ROOT: Uint8Array = randomBytes(32);

/** Of an operator; benches have them too. */
export const settings: Settings = Object.freeze({
  FRONT_DOOR_URL: 'https://mcp.example.com',
  ROOT_KEY: new Map([[1, ROOT]]),
  DATABASE_URL: 'postgres://bankhouse_operator@db.example.com:5432/bankhouse',
  DEDICATED_DATABASES: false,
  SERVERS: new Map(),
  SERVER_IMAGE: 'localhost/bankhouse/server:dev',
  PLATFORM_NAMESPACE: 'bankhouse-system',
  DATABASE_EGRESS: [{ namespace: 'bankhouse-system', podLabels: { app: 'postgres' }, port: 5432 }],
  DNS_EGRESS: [{ namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' }, port: 53 }],
  LOG_LEVEL: 'info',
});
