import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { customResourceDefinitions } from './crd.ts';

/** `npm run generate`: writes crds/*.yaml from the schemas; what is there and no longer made is removed. */
const folder = new URL('../../crds', import.meta.url).pathname;
const HEADER = '# Generated from core/src/resources by `npm run generate`; change it there.\n';

mkdirSync(folder, { recursive: true });
const definitions = customResourceDefinitions();
for (const { file, definition } of definitions) {
  const yaml = stringify(definition, { aliasDuplicateObjects: false, lineWidth: 0 });
  writeFileSync(join(folder, file), HEADER + yaml);
}
for (const file of readdirSync(folder)) {
  if (file.endsWith('.yaml') && !definitions.some((made) => made.file === file)) rmSync(join(folder, file));
}
