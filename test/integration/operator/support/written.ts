import { APPLY_PATCH_TYPE, type Method, type Transport } from '@bankhouse/kube';

/**
 * Counts what an operator sends to write. The API server counts too, but for everybody, itself included: it is still at its own
 * objects when the first test begins.
 */
export class Written {
  private readonly counts = new Map<string, number>();

  /** The transport with its writes counted. */
  through(transport: Transport): Transport {
    return {
      request: (method, path, options) => {
        if (method !== 'GET') this.count(nameOf(method, path, options?.contentType));
        return transport.request(method, path, options);
      },
      stream: (path, options) => transport.stream(path, options),
      separate: () => transport.separate(),
      close: () => transport.close(),
    };
  }

  /** Writes so far by verb and resource, such as `PATCH banks/status`. */
  soFar(): ReadonlyMap<string, number> {
    return new Map(this.counts);
  }

  since(before: ReadonlyMap<string, number>): Record<string, number> {
    const grown = [...this.counts].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
    return Object.fromEntries(grown.filter(([, count]) => count > 0));
  }

  private count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

function nameOf(method: Method, path: string, contentType: string | undefined): string {
  const inGroup = path.replace(/^\/(api|apis\/[^/]+)\/[^/]+\//, '');
  const [resource, , subresource] = inGroup.replace(/^namespaces\/[^/]+\//, '').split('/');
  const verb = contentType === APPLY_PATCH_TYPE ? 'APPLY' : method;
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
}
