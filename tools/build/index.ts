export { build, isBuilt, ROOMS } from './go.ts';
export { installPackages } from './packages.ts';
