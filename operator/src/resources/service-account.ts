import { type BankIdentity, type Child, childMetadata } from './model.ts';

/** An identity of the bank's own, with no token mounted: a bank server never talks to the API server. */
export function buildServiceAccount(bank: BankIdentity): Child<{ automountServiceAccountToken: boolean }> {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: childMetadata(bank),
    automountServiceAccountToken: false,
  };
}
