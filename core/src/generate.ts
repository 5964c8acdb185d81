import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { customResourceDefinitions } from './crd.ts';

/** `npm run generate`: writes crds/*.yaml from the schemas, and the same into the chart; what is no longer made is removed. */
const folders = ['../../crds', '../../charts/bankhouse/crds'].map((path) => new URL(path, import.meta.url).pathname);
const HEADER = '# Generated from core/src/resources by `npm run generate`; change it there.\n';

const definitions = customResourceDefinitions();
for (const folder of folders) {
  mkdirSync(folder, { recursive: true });
  for (const { file, definition } of definitions) {
    const yaml = stringify(definition, { aliasDuplicateObjects: false, lineWidth: 0 });
    writeFileSync(join(folder, file), HEADER + yaml);
  }
  for (const file of readdirSync(folder)) {
    if (file.endsWith('.yaml') && !definitions.some((made) => made.file === file)) rmSync(join(folder, file));
  }
}
