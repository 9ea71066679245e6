// A message under way: the frames of it that were begun, unmasked, gathered and, where it is plain text, judged as UTF-8 while they
// arrive. Made when a connection needs it first: a message that comes whole in one chunk never does. Judges no header; see machine.ts.
// RFC 6455 sections 5.3, 5.4 and 8.1.
import { Utf8Check } from '../bytes/utf8.js';
import { Assembly } from '../frame/assembly.js';
import type { FrameHeader } from '../frame/header.js';
import { mask } from '../frame/mask.js';
import { OPCODE } from '../frame/opcode.js';

export class Incoming {
  readonly assembly: Assembly = new Assembly();
  /** 0 when no message is under way. */
  opcode = 0;
  compressed = false;
  frames = 0;
  /** Octets of the current frame still to come. */
  left = 0;
  /** Octets inflated since the chunk began. */
  inflated = 0;
  #fin = true;
  #key = 0;
  #phase = 0;
  #utf8: Utf8Check | undefined;

  /** The next frame of the message, or the first of a new one: true when it is that. */
  begin(h: FrameHeader): boolean {
    const first = this.opcode === 0;
    if (first) {
      this.opcode = h.opcode;
      this.compressed = (h.rsv & 4) !== 0;
      this.frames = 0;
      this.#utf8?.reset();
    }
    this.frames++;
    this.left = h.length;
    this.#fin = h.fin;
    this.#key = h.maskKey;
    this.#phase = 0;
    return first;
  }

  /** All of it is there. */
  get whole(): boolean {
    return this.left === 0 && this.#fin;
  }

  /** Takes bytes[at, end) of the frame; false when they make its text no UTF-8. */
  read(bytes: Buffer, at: number, end: number, masked: boolean): boolean {
    const { assembly } = this;
    const from = assembly.size;
    if (masked) mask(bytes, this.#key, at, end, this.#phase);
    assembly.append(bytes, at, end, from + this.left, !this.#fin);
    const taken = end - at;
    this.#phase = (this.#phase + taken) & 3;
    this.left -= taken;
    // Section 8.1, judged as it arrives; what is compressed can only be judged when it is inflated.
    if (this.opcode !== OPCODE.text || this.compressed) return true;
    this.#utf8 ??= new Utf8Check();
    return this.#utf8.push(assembly.room.subarray(from, from + taken));
  }

  /** The message is over; false when its text ends in the middle of a character. */
  finish(): boolean {
    const judged = this.opcode === OPCODE.text && !this.compressed;
    this.opcode = 0;
    this.frames = 0;
    return !judged || this.#utf8 === undefined || this.#utf8.finish();
  }
}
