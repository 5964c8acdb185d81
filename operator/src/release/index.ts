export { type ReleaseOptions, release } from './release.ts';
