// What the deflate room is told by the layers above, and the figures the defaults in options.ts rest on. Knows no zlib.
//
// Measured on one core, JSON messages, without takeover; best time of compress, size left, by level:
//               64 B            1 KiB            128 KiB
//   level 1   2.4 us  102 %    8.5 us  30.9 %    443 us  20.6 %
//   level 3   2.4 us  102 %    9.2 us  30.6 %    632 us  19.2 %
//   level 6   2.5 us  102 %   13.1 us  29.6 %   1205 us  17.7 %
// With takeover 1 KiB shrinks to 24.4, 22.9 and 21.5 %. Inflating costs 3 us, 100 us for 128 KiB, whatever the level. There and back,
// 1 KiB at level 3 takes 15 us, 13 with takeover; with documented API only 21, 65 with takeover.

/** `auto` drives zlib objects directly where a self test finds that possible; `documented` uses the documented API only. */
export type EngineName = 'auto' | 'documented';

export interface DeflateSettings {
  /** 0 (store) to 9, zlib's meaning. */
  readonly level: number;
  /** 1 to 9, zlib's meaning. */
  readonly memLevel: number;
  /** A message that inflates to over 1 MiB and to more than this many times its size is refused; 0 or absent: no such guard. */
  readonly maxRatio?: number;
  /** Absent: `auto`. */
  readonly engine?: EngineName;
}

/** The guard is silent up to here: a small message may be all zeros. */
export const RATIO_FLOOR: number = 1 << 20;

/** zlib counts in 32 bits, and a text or buffer near that is no message. */
export const LARGEST: number = 0x7fffffff;

export const DEFLATE_DEFAULTS = {
  // Level 3 takes half the time of 6 for large messages and 0.7 of it for small ones, and leaves 3 to 8 % more bytes.
  level: 3,
  // 8 and below made no difference in time; memory is 216 KiB at 8, 214 at 5, 284 at 9, because the hash table has a least size.
  memLevel: 8,
  // Off: the limit on the message already stops a bomb while it inflates, and a guard below deflate's own 1032:1 would refuse
  // what an honest peer may send, such as 2 MiB of zeros.
  maxRatio: 0,
  // A lone message of 64 bytes does not shrink, one of 256 by half; but up to about 1 KiB it travels in one packet either way.
  threshold: 1024,
  // Without takeover an idle connection holds no byte for deflate, and secrets never share a context with what others wrote.
  serverNoContext: true,
  clientNoContext: true,
  serverBits: 15,
  clientBits: 15,
} as const;
