// Random octets → ids of tokens: a prefix that nobody else has, and a count. Unique as random ones are, cheaper to make, and a receiver that
// sees all of them remembers the whole run in one line (replay.ts). One source for each connection and direction, so that the count has
// no gaps there. An id is no secret: who can guess it still cannot sign it. PROTOCOL.md section 8.2.
import { base64urlCharacter, toBase64url } from '../bytes/base64url.js';

const PREFIX_OCTETS = 9;
/** Characters of the count: 2^36 tokens, then there is another prefix. */
export const COUNT_LENGTH = 6;

export class JtiSource {
  readonly #random: (size: number) => Uint8Array;
  #prefix = '';
  /** The count without its last character, and that one. */
  #high: number;
  #low = 64;
  #stem = '';

  /** `from`: the first count, a multiple of 64; for whoever wants to see the last one. */
  constructor(random: (size: number) => Uint8Array, from = 0) {
    this.#random = random;
    this.#high = Math.floor(from / 64);
  }

  next(): string {
    if (this.#low === 64) this.#turn();
    return this.#stem + base64urlCharacter(this.#low++);
  }

  #turn(): void {
    const isOver = this.#high === 64 ** (COUNT_LENGTH - 1);
    if (isOver) this.#high = 0;
    if (isOver || this.#prefix === '') this.#prefix = toBase64url(this.#random(PREFIX_OCTETS));
    let digits = '';
    for (let i = 1, rest = this.#high; i < COUNT_LENGTH; i++, rest = Math.floor(rest / 64)) {
      digits = base64urlCharacter(rest % 64) + digits;
    }
    this.#stem = this.#prefix + digits;
    this.#high++;
    this.#low = 0;
  }
}
