import { kubectl, until } from '../e2e/platform.ts';

/** Bytes that the kernel counts for a pod, less the page cache it could drop at once: the kubelet's working set. */
export async function workingSetOf(podPrefix: string): Promise<number> {
  const node = await kubectl(['get', 'node', '-o', 'jsonpath={.items[0].metadata.name}']);
  return until(`the kubelet's figure for ${podPrefix}`, async () => {
    const summary = JSON.parse(await kubectl(['get', '--raw', `/api/v1/nodes/${node}/proxy/stats/summary`])) as {
      pods: { podRef: { name: string }; memory?: { workingSetBytes?: number } }[];
    };
    const pod = summary.pods.find(({ podRef }) => podRef.name.startsWith(podPrefix));
    return pod?.memory?.workingSetBytes || undefined;
  });
}
