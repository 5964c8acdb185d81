import { join } from 'node:path';

/** The clone that these tools belong to. */
export const ROOT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

/** All state, git-ignored. `make down` removes what belongs to a running cluster; what was built stays for the next one. */
export const STATE = join(ROOT, '.cluster');
export const BIN = join(STATE, 'bin');
export const LOGS = join(STATE, 'logs');
/** What lives and dies with one cluster: etcd, containerd, kubelet, certificates, volumes. */
export const NODE_STATE = join(STATE, 'node');
/** The front door's CA: made at the first start and kept, so that a user trusts it once. */
export const FRONT_DOOR_STATE = join(STATE, 'front-door');
export const CA_FILE = join(FRONT_DOOR_STATE, 'ca.crt');
export const KUBECONFIG = join(STATE, 'kubeconfig');
export const PLATFORM_FILE = join(STATE, 'platform.json');
/** Read by `npx bankhouse`. */
export const ADMIN_KEY_FILE = join(STATE, 'admin-key');
/** Where the admin key is taken; platform.json stays as it is. */
export const ADMIN_URL_FILE = join(STATE, 'admin-url');

export function binary(name: string): string {
  return join(BIN, name);
}
