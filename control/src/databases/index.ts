export { createKeeper, type Keeper, type KeeperOptions } from './keeper.ts';
