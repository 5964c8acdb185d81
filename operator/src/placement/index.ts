export {
  COMMON_DATABASE,
  isSameKind,
  ownDatabaseOf,
  type Placement,
  parsePlacement,
  placementName,
  placementOf,
} from './placement.ts';
