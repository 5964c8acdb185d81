export { applyBanks, loadSamples, report, waitForBanks, writePlatform } from './banks.ts';
export { installChart, readSecrets, uninstallChart, waitForPlatform } from './install.ts';
export { ownCluster } from './own.ts';
