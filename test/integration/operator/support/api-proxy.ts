import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { ApiServer } from '../../../harness/apiserver.ts';

/** A request as it came by; times are of `performance.now()`. */
export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly at: number;
  /** None while it is under way, and when the client gave up. */
  status?: number;
  endedAt?: number;
}

/** Never settles: a request that waits for it is held. */
export const HELD = new Promise<never>(() => {});

/** Stands before the API server, for one client: sees what it asks and writes, and can hold that or cut the client off. */
export class ApiProxy {
  /** Every request, whether it reached the API server or not. */
  readonly requests: Passed[] = [];
  /** What a request has to wait for before it is passed on. */
  before: (request: { method: string; path: string }) => Promise<void> = async () => {};
  private readonly api: ApiServer;
  private readonly agent: Agent;
  private readonly server: Server;
  private isCut = false;

  private constructor(api: ApiServer) {
    this.api = api;
    const ca = Buffer.from(api.kubeconfig.getCurrentCluster()?.caData ?? '', 'base64');
    this.agent = new Agent({ keepAlive: true, ca });
    this.server = createServer((near, answer) => void this.pass(near, answer));
    this.server.on('connection', (socket) => this.isCut && socket.destroy());
  }

  static async to(api: ApiServer): Promise<ApiProxy> {
    const proxy = new ApiProxy(api);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  /** An admin's, as YAML. */
  get kubeconfig(): string {
    const address = this.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const kubeconfig = new KubeConfig();
    const user = this.api.kubeconfig.getCurrentUser();
    if (user === null) throw new Error('no user');
    // Without it the library refuses plain HTTP.
    const skipTLSVerify = true;
    kubeconfig.loadFromClusterAndUser({ name: 'proxy', server: `http://127.0.0.1:${port}`, skipTLSVerify }, user);
    return kubeconfig.exportConfig();
  }

  cut(): void {
    this.isCut = true;
    this.server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.cut();
    this.agent.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async pass(near: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = near;
    const passed: Passed = { method, path, at: performance.now() };
    this.requests.push(passed);
    answer.on('close', () => {
      passed.endedAt = performance.now();
    });
    await this.before({ method, path });
    if (answer.closed) return;
    const far = request(`${this.api.url}${path}`, { method, headers, agent: this.agent }, (found) => {
      passed.status = found.statusCode ?? 0;
      answer.writeHead(passed.status, found.headers);
      found.pipe(answer);
      found.on('error', () => answer.destroy());
    });
    far.on('error', () => answer.destroy());
    answer.on('close', () => far.destroy());
    near.pipe(far);
  }
}
