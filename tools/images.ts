/** `make images`: our images in an OCI layout under .cluster/images/layout. */
import { installPackages } from './build/index.ts';
import { bundle } from './bundle.ts';
import { bakeOurs, bakePostgres, layoutFolder } from './images/index.ts';
import { main, say } from './shared/index.ts';

await main(async () => {
  await installPackages();
  await bundle();
  const images = { ...(await bakeOurs()), postgres: await bakePostgres() };
  for (const [name, { digest, manifest }] of Object.entries(images)) say(`${name}:${digest} ${manifest}`);
  say(`in the OCI layout ${layoutFolder()}`);
});
