// Judges objects, one per line, by the full schemas that their projects publish; answers each with "ok" or what is wrong.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.env.CLIENTS}/`);
const PACKAGES = {
  'gateway.networking.k8s.io': 'gateway-api',
  'networking.istio.io': 'istio',
  'argoproj.io': 'argo-rollouts',
  'traefik.io': 'traefik',
};

for await (const line of createInterface({ input: process.stdin })) {
  const object = JSON.parse(line);
  const [group, version] = object.apiVersion.split('/');
  let verdict = 'ok';
  try {
    const path = `@kubernetes-models/${PACKAGES[group]}/${group}/${version}/${object.kind}`;
    const Kind = require(path)[object.kind];
    new Kind(object).validate();
  } catch (error) {
    verdict = String(error.message).replaceAll('\n', ' ');
  }
  console.log(verdict);
}
