export {
  type BuiltImage,
  bakeOurs,
  bakePause,
  bakePostgres,
  type ImageName,
  layoutFolder,
  repository,
} from './bake.ts';
export { loadImages } from './load.ts';
