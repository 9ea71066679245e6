// A time that our own caller gives with a call → the same number, or an exception: the bounds are those of the options that are times.

/** What a timer of the platform can count. */
const LONGEST = 2 ** 31 - 1;

/** In ms. Infinity: no deadline. */
export const checkTime = (name: string, ms: unknown): number => {
  if (typeof ms !== 'number') throw new TypeError(`${name} must be a number of ms, not ${typeof ms}`);
  if (ms === Infinity || (ms >= 0 && ms <= LONGEST)) return ms;
  throw new RangeError(`${name} must be from 0 to ${LONGEST} ms, or Infinity, not ${ms}`);
};
