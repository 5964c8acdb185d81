// Brings the CRDs up to date before an upgrade: Helm itself only ever installs what is in crds/.
// Server-side apply of each mounted file, as the API server's own answer says whether it was taken.
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';

const ACCOUNT = process.env.ACCOUNT_DIR ?? '/var/run/secrets/kubernetes.io/serviceaccount';
const FOLDER = process.env.CRDS_DIR ?? '/crds';
const ca = readFileSync(`${ACCOUNT}/ca.crt`);
const authorization = `Bearer ${readFileSync(`${ACCOUNT}/token`, 'utf8').trim()}`;

function apply(name, body) {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: process.env.KUBERNETES_SERVICE_HOST,
        port: process.env.KUBERNETES_SERVICE_PORT,
        path: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}?fieldManager=bankhouse-chart&force=true`,
        method: 'PATCH',
        ca,
        timeout: 20_000,
        headers: { authorization, 'content-type': 'application/apply-patch+yaml' },
      },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => {
          if (response.statusCode < 300) resolve();
          else reject(new Error(`${name}: the API server answered ${response.statusCode}: ${Buffer.concat(chunks)}`));
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error('no answer within 20 seconds')));
    call.on('error', (error) => reject(new Error(`${name}: ${error.message}`)));
    call.end(body);
  });
}

try {
  for (const file of readdirSync(FOLDER).filter((entry) => entry.endsWith('.yaml'))) {
    const body = readFileSync(`${FOLDER}/${file}`, 'utf8');
    const [group, plural] = file.slice(0, -'.yaml'.length).split('_');
    await apply(`${plural}.${group}`, body);
    console.log(`${plural}.${group} is up to date`);
  }
} catch (error) {
  console.error(`The CRDs could not be brought up to date. ${error.message}`);
  process.exitCode = 1;
}
