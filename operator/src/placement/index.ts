export { COMMON_DATABASE, type Placement, parsePlacement, placementName, placementOf } from './placement.ts';
