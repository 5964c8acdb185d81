import { createLogger } from '@bankhouse/core';
import {
  createReflector,
  JSON_PATCH_TYPE,
  type KubeObject,
  keyOf,
  type Reflector,
  type Transport,
} from '@bankhouse/kube';

const FOREGROUND = 'foregroundDeletion';

/** Plays the garbage collector's part where a Deployment is deleted in the foreground: lets it go when its pods have, at once unless held. */
export class GarbageCollector {
  private readonly transport: Transport;
  private readonly deployments: Reflector<KubeObject>;
  private isHeld = false;

  constructor(transport: Transport) {
    this.transport = transport;
    this.deployments = createReflector<KubeObject>({
      transport,
      path: '/apis/apps/v1/deployments',
      logger: createLogger({ component: 'test', level: 'fatal' }),
      onChange: (_, { kind, object }) => kind !== 'deleted' && void this.collect(object),
    });
  }

  async start(): Promise<void> {
    this.deployments.start();
    await this.deployments.synced;
  }

  /** From now on pods go on ending, until released. */
  hold(): void {
    this.isHeld = true;
  }

  release(): void {
    this.isHeld = false;
    for (const deployment of this.deployments.list()) void this.collect(deployment);
  }

  stop(): Promise<void> {
    return this.deployments.stop();
  }

  private async collect(deployment: KubeObject): Promise<void> {
    const index = deployment.metadata.finalizers?.indexOf(FOREGROUND) ?? -1;
    if (this.isHeld || index === -1 || deployment.metadata.deletionTimestamp === undefined) return;
    const [namespace, name] = keyOf(deployment).split('/');
    const body = [{ op: 'remove', path: `/metadata/finalizers/${index}` }];
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
    await this.transport.request('PATCH', path, { body, contentType: JSON_PATCH_TYPE }).catch(() => {});
  }
}
