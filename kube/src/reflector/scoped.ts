import { type KubeObject, splitKey } from '../objects.ts';
import { createReflector, type Reflector, type ReflectorOptions } from './reflector.ts';

const NAMESPACES_PATH = '/api/v1/namespaces';

/**
 * A reflector of a namespaced collection in some namespaces alone, for an account that has no rights beyond them: one watch for
 * each, behind one door. Without namespaces it is a plain reflector of the whole collection. The collection of namespaces itself
 * is followed by name, which is how a rule with `resourceNames` allows it.
 *
 * @param options `path` of the collection in all namespaces, such as `/apis/apps/v1/deployments`
 */
export function createScopedReflector<T extends KubeObject>(
  options: ReflectorOptions<T>,
  namespaces: readonly string[],
): Reflector<T> {
  if (namespaces.length === 0) return createReflector(options);
  const parts = new Map(namespaces.map((namespace) => [namespace, createReflector(within(options, namespace))]));
  const all = [...parts.values()];
  const synced = Promise.all(all.map((part) => part.synced)).then(() => {});
  return {
    start() {
      for (const part of all) part.start();
    },
    synced,
    get isSynced() {
      return all.every((part) => part.isSynced);
    },
    get: (key) => parts.get(splitKey(key).namespace ?? key)?.get(key),
    list: () => all.flatMap((part) => part.list()),
    get size() {
      return all.reduce((sum, part) => sum + part.size, 0);
    },
    stop: async () => {
      await Promise.all(all.map((part) => part.stop()));
    },
  };
}

function within<T extends KubeObject>(options: ReflectorOptions<T>, namespace: string): ReflectorOptions<T> {
  const { path } = options;
  const name = `${options.name ?? path}/${namespace}`;
  if (path === NAMESPACES_PATH) return { ...options, name, fieldSelector: `metadata.name=${namespace}` };
  const slash = path.lastIndexOf('/');
  return { ...options, name, path: `${path.slice(0, slash)}/namespaces/${namespace}${path.slice(slash)}` };
}
