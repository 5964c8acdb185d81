export {
  COMMON_DATABASE,
  ownDatabaseOf,
  type Placement,
  parsePlacement,
  placementName,
  placementOf,
} from './placement.ts';
