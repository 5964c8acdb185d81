import { isApiError, type Transport } from '@bankhouse/kube';
import type { ApiServer } from '../../../harness/apiserver.ts';
import { NAMESPACE, render } from '../../chart/helm.ts';
import { eventually } from './eventually.ts';

export { NAMESPACE as PLATFORM_NAMESPACE } from '../../chart/helm.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

/** Where the objects of each kind are created. */
const COLLECTIONS: Readonly<Record<string, (namespace: string) => string>> = {
  ServiceAccount: (namespace) => `/api/v1/namespaces/${namespace}/serviceaccounts`,
  ClusterRole: () => `${RBAC}/clusterroles`,
  ClusterRoleBinding: () => `${RBAC}/clusterrolebindings`,
  Role: (namespace) => `${RBAC}/namespaces/${namespace}/roles`,
  RoleBinding: (namespace) => `${RBAC}/namespaces/${namespace}/rolebindings`,
  ValidatingAdmissionPolicy: () => `${ADMISSION}/validatingadmissionpolicies`,
  ValidatingAdmissionPolicyBinding: () => `${ADMISSION}/validatingadmissionpolicybindings`,
};

/**
 * Creates the accounts, rights and policies that the chart makes of the values, and nothing else of it.
 *
 * @returns the operator's sign-in, once all of it is in force
 */
export async function installRights(
  api: ApiServer,
  values: Readonly<Record<string, unknown>> & { watchNamespaces?: readonly string[] } = {},
): Promise<Transport> {
  for (const name of [NAMESPACE, ...(values.watchNamespaces ?? [])]) {
    await api.transport.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  }
  for (const object of render(values).values()) {
    const path = COLLECTIONS[object.kind]?.(object.metadata.namespace ?? NAMESPACE);
    if (path !== undefined) await api.transport.request('POST', path, { body: object });
  }
  const transport = await api.signInAs(NAMESPACE, 'bankhouse-operator');
  const namespace = values.watchNamespaces?.[0] ?? 'default';
  await eventually(() => expectPolicy(transport, namespace));
  return transport;
}

/** Rights and policies are in force some moments after they were made. */
async function expectPolicy(transport: Transport, namespace: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  try {
    await transport.request('POST', path, { body: { metadata: { name: 'foreign' } }, query: { dryRun: 'All' } });
  } catch (error) {
    if (isApiError(error, 'forbidden') && error.message.includes('ValidatingAdmissionPolicy')) return;
    throw error;
  }
  throw new Error('The policy is not in force yet.');
}
