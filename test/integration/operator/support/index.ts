export { ApiProxy, HELD } from './api-proxy.ts';
export { Cluster, classPath, pathsOf } from './cluster.ts';
export { eventually } from './eventually.ts';
export { installRights, PLATFORM_NAMESPACE } from './from-chart.ts';
export { GarbageCollector } from './garbage-collector.ts';
export { OperatorProcess } from './operator-process.ts';
export { MemoryDatabase } from './stand-ins.ts';
export { Wire } from './wire.ts';
export { settings, useWorld, type World } from './world.ts';
