export {
  COMMON_DATABASE,
  COMMON_PLACEMENT,
  isSameKind,
  ownDatabaseOf,
  type Placement,
  parsePlacement,
  placementName,
  placementOf,
  placementWords,
} from './placement.ts';
