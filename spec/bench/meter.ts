// Loaded into a server before or by its script (`node --import`): tells on request what the process has used so far.
import { answer } from './lines.js';
import { usage } from './usage.js';

export type { Usage } from './usage.js';

answer({ usage });
