import { chownSync, mkdirSync } from 'node:fs';
import { VOLUME_FOLDERS } from './addons.ts';
import { requirePort } from './cluster.ts';
import { FRONT_DOOR_PORT } from './names.ts';
import { runningStatus, startOwnCluster } from './own.ts';
import { createFrontDoorCertificates } from './pki.ts';
import { sweep } from './sweep.ts';

const POSTGRES_USER = 999;

/** Whether this clone's own cluster runs, and none of its components has been given up. */
export function isHealthy(): boolean {
  const status = runningStatus();
  return (
    status !== undefined &&
    status.node !== 0 &&
    Object.values(status.components).every(({ state }) => state !== 'failed')
  );
}

/** Clears whatever was there and starts a cluster anew; its components become ready later. */
export async function bootOwnCluster(): Promise<void> {
  await sweep();
  await requirePort(FRONT_DOOR_PORT);
  for (const folder of VOLUME_FOLDERS) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chownSync(folder, POSTGRES_USER, POSTGRES_USER);
  }
  await createFrontDoorCertificates();
  await startOwnCluster();
}
