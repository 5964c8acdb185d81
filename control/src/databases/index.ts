export { createKeeper, type Keeper, type KeeperOptions, type KeptServer } from './keeper.ts';
