import { createHash } from 'node:crypto';

/** API group and version of our resources. */
export const GROUP = 'bankhouse.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** On a Bank until its outside effects (database role, rows) are gone. */
export const FINALIZER = `${GROUP}/cleanup`;
/** On a BankClass while banks follow it. */
export const CLASS_FINALIZER = `${GROUP}/class-in-use`;
/** On a Bank under quarantine, with any value: lift it. The operator takes the annotation off when it has. */
export const LIFT_QUARANTINE_ANNOTATION = `${GROUP}/lift-quarantine`;
/** On a Bank, "true": its rows are erased when it is deleted, whatever `spec.deleteAfter` says. */
export const ERASE_NOW_ANNOTATION = `${GROUP}/erase-now`;
/** On a Bank, "true": its rows are moved to where its class says. The operator takes the annotation off when they are there. */
export const MOVE_ANNOTATION = `${GROUP}/move-database`;
/** Server-side apply's field manager. */
export const FIELD_MANAGER = 'bankhouse-operator';

/** On every child: the id of the bank that it belongs to. */
export const BANK_LABEL = `${GROUP}/bank`;
/** On a bank's Deployment and pods: the class whose policies confine them; its name. */
export const CLASS_LABEL = `${GROUP}/class`;
/** On pods that may reach the endpoint for embeddings, `"true"`. */
export const EMBEDDINGS_LABEL = `${GROUP}/embeddings`;
/** A class's name is the value of a label. */
export const CLASS_NAME_MAX_LENGTH = 63;
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
/** On a BankClass, `"true"`: the class of banks that name none, as on a StorageClass. */
export const DEFAULT_CLASS_ANNOTATION = `${GROUP}/is-default-class`;
export const NAME_LABEL = 'app.kubernetes.io/name';
export const COMPONENT_LABEL = 'app.kubernetes.io/component';
export const MANAGED_BY = 'bankhouse';
export const BANK_SERVER_COMPONENT = 'bank-server';
export const GATEWAY_COMPONENT = 'gateway';
/** Label selector of banks' pods; `bankOfPod` looks once more. */
export const BANK_POD_SELECTOR = `${MANAGED_BY_LABEL}=${MANAGED_BY},${COMPONENT_LABEL}=${BANK_SERVER_COMPONENT},${BANK_LABEL}`;

/** Name of the bank server's container in its pod. */
export const BANK_SERVER_CONTAINER = 'server';
/** The one port that a bank server listens on: MCP at `/mcp/bank-<id>`, probes at `/healthz` and `/readyz`. */
export const BANK_SERVER_PORT = 8080;

/** Where the bank's Secret is mounted in its pod. The keys are the file names. */
export const BANK_SECRET_DIR = '/var/run/bankhouse';
/** File: the bank's own `postgres://` URL with role and password. */
export const SECRET_DATABASE_URL = 'database-url';
/** File: JSON `{"<generation>": "<base64 key>"}` of the pod seal's keys, one or two generations. */
export const SECRET_SEAL_KEYS = 'seal-keys';
/** File, which no pod reads: that the password in the URL is the operator's, where the root key that it was made with has been replaced. */
export const SECRET_PASSWORD_PROOF = 'password-proof';
/** File: key of the endpoint for embeddings; absent where there is none. */
export const SECRET_EMBEDDINGS_KEY = 'embeddings-key';

/** File: the bank's name for people; absent where it has none but its id. No secret, but read anew like one, so that another name needs no new pod. */
export const SECRET_BANK_NAME = 'bank-name';

/** File: the tool profile of the Bank; absent where it says nothing. No secret either. */
export const SECRET_TOOL_PROFILE = 'tool-profile';

/** Name of all of a bank's own children (Secret, Deployment, PodDisruptionBudget) in the Bank's namespace. */
export function childName(id: string): string {
  return `bank-${id}`;
}

const CLASS_POLICY = 'bankclass.';
const EMBEDDINGS_POLICY = 'bankclass-embeddings.';

/** Name of the NetworkPolicy of a class's pods in a namespace. No bank's child is called so, whatever its id is. */
export function classPolicyName(className: string): string {
  return `${CLASS_POLICY}${className}`;
}

/** Name of the NetworkPolicy of those that use embeddings. */
export function embeddingsPolicyName(className: string): string {
  return `${EMBEDDINGS_POLICY}${className}`;
}

/** The class that a NetworkPolicy of this name is for. */
export function classOfPolicy(name: string): string | undefined {
  const prefix = [CLASS_POLICY, EMBEDDINGS_POLICY].find((one) => name.startsWith(one));
  return prefix === undefined ? undefined : name.slice(prefix.length);
}

/** Labels on every child and on the bank's pods. */
export function childLabels(id: string): Record<string, string> {
  return {
    [BANK_LABEL]: id,
    [MANAGED_BY_LABEL]: MANAGED_BY,
    [NAME_LABEL]: 'bank-server',
    [COMPONENT_LABEL]: BANK_SERVER_COMPONENT,
  };
}

/**
 * The database login roles of one incarnation of a bank: two that alternate, so that a rotation never cuts a live connection. Every role of
 * a Postgres can list the others, so the name tells nothing of the tenant.
 *
 * @param uid metadata.uid of the Bank
 */
export function databaseRole(uid: string, form: 'a' | 'b'): string {
  return `bank_${createHash('sha256').update(`bankhouse/role/${uid}`).digest('hex').slice(0, 24)}_${form}`;
}
