import { createHash } from 'node:crypto';
import {
  BANK_LABEL,
  BANK_SECRET_DIR,
  BANK_SERVER_PORT,
  type BankClassSpec,
  bankIdOf,
  childLabels,
  childName,
  GROUP,
  type ResourceLimits,
} from '@bankhouse/core';
import type { V1Container, V1DeploymentSpec, V1Probe, V1ResourceRequirements } from '@kubernetes/client-node';
import type { OperatorConfig } from '../config.ts';
import { type EmbeddingsEnvironment, embeddingsEnv } from './embeddings.ts';
import { type BankIdentity, type Child, childMetadata } from './model.ts';
import { canonicalQuantity } from './quantity.ts';

/** Digest of what a server reads only at its start; a pod is replaced when it changes. */
export const SECRET_DIGEST_ANNOTATION = `${GROUP}/secret-digest`;
const USER_ID = 65532;
/** Longer than the server's own draining. */
const GRACE_SECONDS = 30;
const PROGRESS_DEADLINE_SECONDS = 120;
const DEFAULT_RESOURCES = { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } } as const;

export type DeploymentConfig = Pick<OperatorConfig, 'SERVER_IMAGE' | 'LOG_LEVEL'> & EmbeddingsEnvironment;

/** The image that a bank of this class runs. */
export function serverImage(bankClass: BankClassSpec, config: Pick<OperatorConfig, 'SERVER_IMAGE'>): string {
  return bankClass.image ?? config.SERVER_IMAGE;
}

/** How many pods a bank shall have now. */
export function wantedReplicas(bank: BankIdentity, bankClass: BankClassSpec): number {
  return bank.spec.suspended ? 0 : bankClass.replicas;
}

/** For the annotation: of the database URL alone, because the server reads the other keys anew by itself. */
export function secretDigest(databaseUrl: string): string {
  return createHash('sha256').update(databaseUrl).digest('hex').slice(0, 32);
}

/** The bank's pods under the `restricted` pod security standard. */
export function buildDeployment(
  bank: BankIdentity,
  bankClass: BankClassSpec,
  config: DeploymentConfig,
  digest: string,
): Child<{ spec: V1DeploymentSpec }> {
  const id = bankIdOf(bank);
  const name = childName(id);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: childMetadata(bank),
    spec: {
      replicas: wantedReplicas(bank, bankClass),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: PROGRESS_DEADLINE_SECONDS,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: { [BANK_LABEL]: id } },
      template: {
        metadata: { labels: childLabels(id), annotations: { [SECRET_DIGEST_ANNOTATION]: digest } },
        spec: {
          serviceAccountName: name,
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: GRACE_SECONDS,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: USER_ID,
            runAsGroup: USER_ID,
            fsGroup: USER_ID,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [container(bank, bankClass, config)],
          volumes: [{ name: 'secret', secret: { secretName: name, defaultMode: 0o440 } }],
        },
      },
    },
  };
}

function container(bank: BankIdentity, bankClass: BankClassSpec, config: DeploymentConfig): V1Container {
  return {
    name: 'server',
    image: serverImage(bankClass, config),
    imagePullPolicy: bankClass.imagePullPolicy,
    env: [
      { name: 'BANK_ID', value: bankIdOf(bank) },
      ...(bank.spec.displayName === undefined ? [] : [{ name: 'BANK_NAME', value: bank.spec.displayName }]),
      { name: 'TOOLSETS', value: bank.spec.toolsets.join(',') },
      { name: 'SECRET_DIR', value: BANK_SECRET_DIR },
      { name: 'PORT', value: String(BANK_SERVER_PORT) },
      { name: 'LOG_LEVEL', value: config.LOG_LEVEL },
      ...embeddingsEnv(bank, config),
    ],
    ports: [{ name: 'http', containerPort: BANK_SERVER_PORT, protocol: 'TCP' }],
    // Starting is the startup probe's to judge; a server that is up gets its first calls within a second of being ready.
    startupProbe: probe('/healthz', { periodSeconds: 1, failureThreshold: 60 }),
    readinessProbe: probe('/readyz', { periodSeconds: 1, failureThreshold: 3 }),
    livenessProbe: probe('/healthz', { periodSeconds: 10, failureThreshold: 3 }),
    resources: resources(bank, bankClass),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'secret', mountPath: BANK_SECRET_DIR, readOnly: true }],
  };
}

function probe(path: string, timing: { periodSeconds: number; failureThreshold: number }): V1Probe {
  return { httpGet: { path, port: BANK_SERVER_PORT }, timeoutSeconds: 2, ...timing };
}

function resources(bank: BankIdentity, bankClass: BankClassSpec): V1ResourceRequirements {
  const fromClass = bankClass.resources ?? DEFAULT_RESOURCES;
  const overridden = bankClass.allowOverrides.includes('resources') ? bank.spec.resources : undefined;
  const merged: ResourceLimits = {
    requests: { ...fromClass.requests, ...overridden?.requests },
    limits: { ...fromClass.limits, ...overridden?.limits },
  };
  return { ...amounts('requests', merged.requests), ...amounts('limits', merged.limits) };
}

function amounts(name: 'requests' | 'limits', values: ResourceLimits['requests']): V1ResourceRequirements {
  const entries = Object.entries(values ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
  if (entries.length === 0) return {};
  return { [name]: Object.fromEntries(entries.map(([key, value]) => [key, canonicalQuantity(value)])) };
}
