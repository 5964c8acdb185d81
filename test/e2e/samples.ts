/** What the sample banks hold, counted from the generator's output and not from any database. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateCalls, MARKERS, type Manifest, manifestOf } from '@bankhouse/client';
import { parseAllDocuments } from 'yaml';
import { ROOT } from './platform.ts';

const manifests = new Map<string, Manifest>();

export function sampleManifest(bank: string): Manifest {
  const known = manifests.get(bank);
  if (known !== undefined) return known;
  const { seed, banks } = JSON.parse(readFileSync(join(ROOT, 'examples/samples.json'), 'utf8')) as {
    seed: number;
    banks: { id: string; calls: number }[];
  };
  const count = banks.find(({ id }) => id === bank)?.calls;
  if (count === undefined) throw new Error(`examples/samples.json has no bank ${bank}`);
  const made = manifestOf(
    generateCalls({ bank, seed, count, vaults: vaultsOf(bank) }),
    MARKERS.map(({ word }) => word),
  );
  manifests.set(bank, made);
  return made;
}

/** The bank's vaults as examples/banks.yaml declares them, sorted as the loader sorts them. */
function vaultsOf(bank: string): string[] {
  const documents = parseAllDocuments(readFileSync(join(ROOT, 'examples/banks.yaml'), 'utf8'));
  for (const document of documents) {
    const resource = document.toJS() as {
      kind: string;
      metadata: { name: string };
      spec: { vaults: { id: string }[] };
    };
    if (resource.kind === 'Bank' && resource.metadata.name === bank)
      return resource.spec.vaults.map(({ id }) => id).sort();
  }
  throw new Error(`examples/banks.yaml has no Bank ${bank}`);
}
