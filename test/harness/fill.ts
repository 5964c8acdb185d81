import type { Transport } from '@bankhouse/kube';

const API = '/apis/bankhouse.dev/v1alpha1';
const CONNECTIONS = 32;
const BANKS_PER_NAMESPACE = 100;

/** Fills a cluster with Banks, a hundred a namespace, and with McpServers of them; answers how many milliseconds it took. */
export async function fill(
  transport: Transport,
  { banks, servers }: { banks: number; servers: number },
): Promise<number> {
  const startedAt = performance.now();
  const namespaceOf = (bank: number) => `full-${Math.floor(bank / BANKS_PER_NAMESPACE)}`;
  const create = (path: string, body: object) => transport.request('POST', path, { body });
  const metadata = { name: 'standard', annotations: { 'bankhouse.dev/is-default-class': 'true' } };
  await create(`${API}/bankclasses`, { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'BankClass', metadata, spec: {} });
  await create('/api/v1/namespaces', { metadata: { name: 'bankhouse-system' } });
  await each(Math.ceil(banks / BANKS_PER_NAMESPACE), (index) =>
    create('/api/v1/namespaces', { metadata: { name: `full-${index}` } }),
  );
  await each(banks, (index) =>
    create(`${API}/namespaces/${namespaceOf(index)}/banks`, {
      apiVersion: 'bankhouse.dev/v1alpha1',
      kind: 'Bank',
      metadata: { name: `bank-${index}` },
      spec: { displayName: `Bank ${index}`, vaults: [{ id: 'sales' }, { id: 'support' }] },
    }),
  );
  await each(servers, (index) => {
    const bank = index % Math.max(banks, 1);
    const remote = { url: `https://tools-${index}.example.com/mcp` };
    return create(`${API}/namespaces/${namespaceOf(bank)}/mcpservers`, {
      apiVersion: 'bankhouse.dev/v1alpha1',
      kind: 'McpServer',
      metadata: { name: `server-${index}` },
      spec: { bankRef: { name: `bank-${bank}` }, toolPrefix: `t${index}.`, remote },
    });
  });
  return performance.now() - startedAt;
}

/** Calls `work` for 0 to `count` - 1, so many at a time as there are connections. */
async function each(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const loop = async () => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, loop));
}
