export { createWatchdog, type Watchdog, type WatchdogOptions } from './watchdog.ts';
