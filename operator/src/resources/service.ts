import { BANK_LABEL, BANK_SERVER_PORT, bankIdOf } from '@bankhouse/core';
import type { V1ServiceSpec } from '@kubernetes/client-node';
import { type BankIdentity, type Child, childMetadata } from './model.ts';

/**
 * Headless: the gateway connects to pod addresses, and a cluster address costs the API server four times as much. Addresses
 * that are not ready are published too, because the gateway's own attempt finds out sooner than a probe.
 */
export function buildService(bank: BankIdentity): Child<{ spec: V1ServiceSpec }> {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(bank),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { [BANK_LABEL]: bankIdOf(bank) },
      ports: [{ name: 'http', port: BANK_SERVER_PORT, targetPort: BANK_SERVER_PORT, protocol: 'TCP' }],
    },
  };
}
