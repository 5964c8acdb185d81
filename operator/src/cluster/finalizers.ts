import { JSON_PATCH_TYPE, type KubeObject, type Transport } from '@bankhouse/kube';
import type { FreshCache } from './fresh-cache.ts';

/** Adds the finalizer if it isn't there; to this very object, and only if no other finalizer came or went meanwhile. */
export async function holdFinalizer<T extends KubeObject>(
  transport: Transport,
  cache: FreshCache<T>,
  path: string,
  object: T,
  finalizer: string,
): Promise<void> {
  const finalizers = object.metadata.finalizers ?? [];
  if (finalizers.includes(finalizer)) return;
  const body =
    finalizers.length === 0
      ? [
          { op: 'test', path: '/metadata/finalizers', value: null },
          { op: 'add', path: '/metadata/finalizers', value: [finalizer] },
        ]
      : [
          { op: 'test', path: '/metadata/finalizers', value: finalizers },
          { op: 'add', path: '/metadata/finalizers/-', value: finalizer },
        ];
  await patch(transport, cache, path, object, body);
}

/** Takes the finalizer off this very object if it is there. */
export async function releaseFinalizer<T extends KubeObject>(
  transport: Transport,
  cache: FreshCache<T>,
  path: string,
  object: T,
  finalizer: string,
): Promise<void> {
  const index = object.metadata.finalizers?.indexOf(finalizer) ?? -1;
  if (index === -1) return;
  const place = `/metadata/finalizers/${index}`;
  await patch(transport, cache, path, object, [
    // The index may meanwhile be another's finalizer.
    { op: 'test', path: place, value: finalizer },
    { op: 'remove', path: place },
  ]);
}

async function patch<T extends KubeObject>(
  transport: Transport,
  cache: FreshCache<T>,
  path: string,
  object: T,
  changes: object[],
): Promise<void> {
  const body = [{ op: 'test', path: '/metadata/uid', value: object.metadata.uid }, ...changes];
  cache.wrote(await transport.request<T>('PATCH', path, { body, contentType: JSON_PATCH_TYPE }));
}
