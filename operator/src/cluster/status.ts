import { type KubeObject, MERGE_PATCH_TYPE, type Transport } from '@bankhouse/kube';
import type { FreshCache } from './fresh-cache.ts';
import { canonical } from './owned.ts';

/**
 * The one writer of statuses, at the end of a pass: writes what differs, or nothing at all.
 *
 * @param path of the object, without `/status`
 */
export async function writeStatus<T extends KubeObject & { status?: object | undefined }>(
  transport: Transport,
  cache: FreshCache<T>,
  path: string,
  object: T,
  wanted: NonNullable<T['status']>,
): Promise<'configured' | 'unchanged'> {
  const current: object = object.status ?? {};
  if (canonical(current) === canonical(wanted)) return 'unchanged';
  // A merge patch leaves out what it doesn't name, so that fields to be gone are named.
  const gone = Object.fromEntries(Object.keys(current).map((name) => [name, null]));
  const said = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  const body = { metadata: { uid: object.metadata.uid }, status: { ...gone, ...said } };
  const written = await transport.request<T>('PATCH', `${path}/status`, { body, contentType: MERGE_PATCH_TYPE });
  cache.wrote(written);
  return 'configured';
}
