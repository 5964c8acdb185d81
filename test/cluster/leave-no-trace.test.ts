/** A cluster ends without a trace, however it ends, and the next one starts on what a killed one left. Ends the one that runs. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootOwnCluster, isHealthy, leftovers, runningStatus, sweep, waitFor } from '../../tools/cluster/index.ts';

const COMPONENTS = ['kubelet', 'kube-proxy', 'kube-router', 'traefik', 'kube-scheduler', 'kube-controller-manager'];
/** Programs that only our cluster runs. */
const PROGRAMS = /\/(kubelet|kube-[a-z-]+|containerd[a-z0-9-]*|coredns|traefik|pause)$/;

/** What the host shows of any cluster, found without the names that the tools clear by. */
function traces() {
  const out = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: 'utf8' });
  const programs = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/exe`);
      } catch {
        return '';
      }
    })
    .filter((path) => PROGRAMS.test(path) && path.includes('/.cluster/'));
  return {
    programs,
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => /\.cluster|overlay|kubelet|netns|bankhouse/.test(line)),
    links: readdirSync('/sys/class/net').filter((name) => /^(bankhouse|veth|kdev|pods|kube)/.test(name)),
    rules: `${out('nft', 'list', 'ruleset')}${out('iptables-save')}`
      .split('\n')
      .filter((line) => /bankhouse|KUBE|198\.1[89]\./.test(line)),
    sets: out('ipset', 'list', '-n')
      .split('\n')
      .filter((line) => line !== ''),
    routes: out('ip', 'route')
      .split('\n')
      .filter((line) => line.includes('198.1')),
    cgroups: readdirSync('/sys/fs/cgroup', { recursive: false, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => readdirSync(`/sys/fs/cgroup/${entry.name}`).map((name) => `${entry.name}/${name}`))
      .filter((path) => /bankhouse|kubepods/.test(path)),
  };
}
const NOTHING = { programs: [], mounts: [], links: [], rules: [], sets: [], routes: [], cgroups: [] };

const step = { detail: '' };

describe('a development cluster', () => {
  beforeAll(sweep);
  afterAll(sweep);

  it('is gone without a trace after a clean end', async () => {
    await bootOwnCluster();
    await waitFor(COMPONENTS, step);
    expect(traces()).not.toEqual(NOTHING);
    await sweep();
    expect({ left: await leftovers(), traces: traces() }).toEqual({ left: [], traces: NOTHING });
  });

  it.each([0, 300, 1_000, 2_500, 4_000])(
    'is cleared by the next start when its supervisor was killed after %i ms',
    async (ms) => {
      await bootOwnCluster();
      await new Promise((resolve) => setTimeout(resolve, ms));
      process.kill(runningStatus()?.pid ?? 0, 'SIGKILL');
      await sweep();
      expect({ left: await leftovers(), traces: traces() }).toEqual({ left: [], traces: NOTHING });
    },
  );

  it('starts a component again that was killed', async () => {
    await bootOwnCluster();
    await waitFor(COMPONENTS, step);
    const pid = readdirSync('/proc').find((name) => {
      try {
        return readlinkSync(`/proc/${name}/exe`).endsWith('/.cluster/bin/kube-scheduler');
      } catch {
        return false;
      }
    });
    process.kill(Number(pid), 'SIGKILL');
    const restarted = () => {
      const scheduler = runningStatus()?.components['kube-scheduler'];
      return scheduler?.restarts === 1 && scheduler.state === 'ready';
    };
    await expect.poll(restarted, { timeout: 20_000, interval: 50 }).toBe(true);
    expect(isHealthy()).toBe(true);
  });

  it("touches no rule, link or set that isn't its own", async () => {
    execFileSync('nft', ['add table ip bankhouse_neighbour; add chain ip bankhouse_neighbour kept']);
    execFileSync('ip', ['link', 'add', 'neighbour0', 'type', 'bridge']);
    try {
      await sweep();
      expect(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })).toContain('bankhouse_neighbour');
      expect(readdirSync('/sys/class/net')).toContain('neighbour0');
    } finally {
      execFileSync('nft', ['delete', 'table', 'ip', 'bankhouse_neighbour']);
      execFileSync('ip', ['link', 'delete', 'neighbour0']);
    }
  });
});
