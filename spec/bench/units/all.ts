// Every unit bench, in the order in which they are shown.
import type { Unit } from '../stopwatch.js';
import { DEFLATE_UNITS } from './deflate.js';
import { FRAME_UNITS } from './frames.js';
import { OPENING_UNITS } from './opening.js';
import { SENDING_UNITS } from './sending.js';

export const UNITS: readonly Unit[] = [...FRAME_UNITS, ...SENDING_UNITS, ...DEFLATE_UNITS, ...OPENING_UNITS];
