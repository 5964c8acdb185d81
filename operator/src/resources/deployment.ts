import { createHash } from 'node:crypto';
import {
  BANK_LABEL,
  BANK_SECRET_DIR,
  BANK_SERVER_CONTAINER,
  BANK_SERVER_PORT,
  type BankClassSpec,
  bankIdOf,
  CLASS_LABEL,
  childLabels,
  childName,
  EMBEDDINGS_LABEL,
  GROUP,
  type ResourceLimits,
} from '@bankhouse/core';
import type {
  V1Container,
  V1DeploymentSpec,
  V1PodSpec,
  V1Probe,
  V1ResourceRequirements,
} from '@kubernetes/client-node';
import type { OperatorConfig } from '../config.ts';
import { type EmbeddingsEnvironment, embeddingsEnv, usesEmbeddings } from './embeddings.ts';
import { type BankIdentity, type Child, type ClassIdentity, childMetadata } from './model.ts';
import { canonicalQuantity, exceeds } from './quantity.ts';

/** Digest of what a server reads only at its start; a pod is replaced when it changes. */
export const SECRET_DIGEST_ANNOTATION = `${GROUP}/secret-digest`;
/** Set by the Deployment's controller: pods of one revision. Without it an old pod would hold a place for the new one. */
const POD_TEMPLATE_HASH = 'pod-template-hash';
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
  return bank.spec.suspend ? 0 : bankClass.replicas;
}

/** For the annotation: of the database URL alone, because the server reads the other keys anew by itself. */
export function secretDigest(databaseUrl: string): string {
  return createHash('sha256').update(databaseUrl).digest('hex').slice(0, 32);
}

/**
 * The bank's pods under the `restricted` pod security standard. They run under the namespace's `default` ServiceAccount, of which they get
 * no token: a bank server never talks to the API server. Labels say which policies confine them.
 */
export function buildDeployment(
  bank: BankIdentity,
  { metadata: { name: className }, spec: bankClass }: ClassIdentity,
  config: DeploymentConfig,
  digest: string,
): Child<{ spec: V1DeploymentSpec }> {
  const id = bankIdOf(bank);
  const metadata = childMetadata(bank);
  const labels = {
    ...childLabels(id),
    [CLASS_LABEL]: className,
    ...(usesEmbeddings(bank, config) ? { [EMBEDDINGS_LABEL]: 'true' } : {}),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { ...metadata, labels: { ...metadata.labels, [CLASS_LABEL]: className } },
    spec: {
      replicas: wantedReplicas(bank, bankClass),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: PROGRESS_DEADLINE_SECONDS,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      selector: { matchLabels: { [BANK_LABEL]: id } },
      template: {
        metadata: { labels, annotations: { [SECRET_DIGEST_ANNOTATION]: digest } },
        spec: {
          serviceAccountName: 'default',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: GRACE_SECONDS,
          ...placement(bankClass, id),
          securityContext: {
            runAsNonRoot: true,
            runAsUser: USER_ID,
            runAsGroup: USER_ID,
            fsGroup: USER_ID,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [container(bank, bankClass, config)],
          volumes: [{ name: 'secret', secret: { secretName: childName(id), defaultMode: 0o440 } }],
        },
      },
    },
  };
}

/** Where the class says that pods run, and by which rights to its image; what it leaves open stays the API server's. */
function placement(bankClass: BankClassSpec, id: string): Partial<V1PodSpec> {
  const counted = { labelSelector: { matchLabels: { [BANK_LABEL]: id } }, matchLabelKeys: [POD_TEMPLATE_HASH] };
  return present({
    imagePullSecrets: bankClass.imagePullSecrets,
    nodeSelector: bankClass.nodeSelector,
    tolerations: bankClass.tolerations?.map(present),
    topologySpreadConstraints: bankClass.topologySpreadConstraints?.map((one) => ({ ...present(one), ...counted })),
    priorityClassName: bankClass.priorityClassName,
    runtimeClassName: bankClass.runtimeClassName,
  });
}

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the members that are undefined. */
function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Present<T>;
}

function container(bank: BankIdentity, bankClass: BankClassSpec, config: DeploymentConfig): V1Container {
  return {
    name: BANK_SERVER_CONTAINER,
    // What it ended of, for the condition (K16).
    terminationMessagePolicy: 'FallbackToLogsOnError',
    image: serverImage(bankClass, config),
    imagePullPolicy: bankClass.imagePullPolicy,
    env: [
      { name: 'BANK_ID', value: bankIdOf(bank) },
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

/** Of the class, or the Bank's where the class allows it. No request is above its limit: the API server would refuse the pod. */
function resources(bank: BankIdentity, bankClass: BankClassSpec): V1ResourceRequirements {
  const fromClass: ResourceLimits = bankClass.resources ?? DEFAULT_RESOURCES;
  const overridden = bankClass.allowOverrides.includes('resources') ? bank.spec.resources : undefined;
  const limits = amounts({ ...fromClass.limits, ...overridden?.limits });
  const requests = amounts({ ...fromClass.requests, ...overridden?.requests });
  for (const [name, limit] of Object.entries(limits)) {
    if (exceeds(requests[name] ?? '0', limit)) requests[name] = limit;
  }
  return {
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

function amounts(values: NonNullable<ResourceLimits['requests']>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, canonicalQuantity(value)]])),
  );
}
