export { type BuiltImage, bakeOurs, bakePause, bakePostgres, type ImageName, repository } from './bake.ts';
export { loadImages } from './load.ts';
