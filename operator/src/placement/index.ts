export {
  COMMON_PLACEMENT,
  isSameKind,
  type Placement,
  parsePlacement,
  placementName,
  placementOf,
  placementWords,
  type WantedDatabase,
  type Where,
  whereOf,
} from './placement.ts';
export { problemOfServer, type Server, type Servers, serverAt, serversOf } from './servers.ts';
