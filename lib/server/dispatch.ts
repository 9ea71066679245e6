// A dispatch for embedders: the machine of lib/dispatch with a clock, chance and a pace. Its connections come from servers that are given its
// `packages`.
import { nodeSuite } from '../crypto/node.js';
import { Dispatch } from '../dispatch/dispatch.js';
import type { DispatchOptions } from '../dispatch/dispatch-types.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import { checkDispatch } from '../options/options.js';

/** `createServer({ packages: createDispatch(options).packages })`. A TypeError names every option that is wrong. */
export const createDispatch = (options: DispatchOptions): Dispatch => {
  checkDispatch(options);
  return new Dispatch(options, {
    now,
    wall,
    random: (size) => nodeSuite.random(size),
    pace: (paced) => new Pacer(paced),
  });
};
