export { createFrontDoor, type FrontDoor } from './front-door.ts';
export { createProber, type Prober, type ProberOptions, type ProbeTarget } from './prober.ts';
export { ProbeError, type ProbeFailure, type ProbeOutcome, type ProbeResult } from './result.ts';
