export { build, buildAll, isBuilt } from './go.ts';
export { installPackages } from './packages.ts';
