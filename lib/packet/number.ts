// Packet numbers and the two 16-bit fields that carry them. Plain arithmetic, since a clear session may count beyond 2^32.
// PROTOCOL.md sections 3.4 and 5.1; vectors in 11.5. What number is acceptable is window.ts.

const SPAN = 0x10000;
const HALF = 0x8000;

export const sequenceOf = (number: number): number => number % SPAN;

/** The high half of a number below 2^32: the Init Vector of a sealed packet. */
export const vectorOf = (number: number): number => Math.floor(number / SPAN) % SPAN;

export const numberOf = (vector: number, sequence: number): number => vector * SPAN + sequence;

/** PROTOCOL.md section 5.1 (RFC 9000 A.3 with 16 bits): the number with this Sequence ID that lies nearest to `next`. */
export const nearest = (sequence: number, next: number): number => {
  const candidate = next - (next % SPAN) + sequence;
  if (candidate <= next - HALF) return candidate + SPAN;
  if (candidate > next + HALF && candidate >= SPAN) return candidate - SPAN;
  return candidate;
};
