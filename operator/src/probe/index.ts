export { createFrontDoor, type FrontDoor } from './front-door.ts';
export { createProber, type ProbeResult, type Prober, type ProbeTarget } from './prober.ts';
