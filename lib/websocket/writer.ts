// One message sent in parts while it is being made (RFC 6455 section 5.4). Between its first and its last part no other message may
// go out, so others wait in the link; control frames pass.
import { Utf8Check } from '../bytes/utf8.js';
import { fault } from '../fault.js';
import { OPCODE } from '../frame/opcode.js';
import type { Link } from './link.js';
import { bytesOf, type Payload } from './payload.js';
import { CLOSED, type Sent } from './sent.js';

export class MessageWriter {
  readonly #link: Link;
  #check: Utf8Check | undefined;
  #opcode: number;
  /** The first half of a character that a string part ended with. */
  #half = '';
  #done = false;

  constructor(link: Link, kind: 'text' | 'binary') {
    this.#link = link;
    this.#opcode = kind === 'text' ? OPCODE.text : OPCODE.binary;
    this.#check = kind === 'text' ? new Utf8Check() : undefined;
    link.outgoing.beginStream();
  }

  /** A further part; text may be cut anywhere, even inside a character. A part that is refused is not sent, and another may follow. */
  write(part: Payload): Sent {
    return this.#write(part, false);
  }

  /** The last part, which may be empty. */
  end(part: Payload = ''): Sent {
    return this.#write(part, true);
  }

  /**
   * Gives the message up. Where parts of it are sent nobody can take them back, and no other message could follow: the connection ends
   * with 1011. After `end` it does nothing.
   */
  abort(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#link.state !== 'open') return;
    if (this.#opcode === OPCODE.continuation) this.#link.fail(fault('WSD_MESSAGE_ABORTED'));
    else this.#link.outgoing.endStream();
  }

  #write(part: Payload, fin: boolean): Sent {
    if (this.#done) throw new TypeError('this message is finished');
    const text = typeof part === 'string' ? this.#half + part : this.#half;
    const half = typeof part === 'string' && !fin && endsInHalf(text) ? text.slice(-1) : '';
    const start = Buffer.from(half === '' ? text : text.slice(0, -1), 'utf8');
    const bytes = typeof part === 'string' ? start : joined(start, bytesOf(part));
    const check = this.#check?.fork();
    if (check !== undefined && (!check.push(bytes) || (fin && !check.finish()))) {
      throw new TypeError('a text message must be UTF-8');
    }
    this.#check = check;
    this.#half = half;
    this.#done = fin;
    if (this.#link.state !== 'open') return CLOSED;
    const opcode = this.#opcode;
    this.#opcode = OPCODE.continuation;
    return this.#link.outgoing.sendPart(opcode, bytes, fin);
  }
}

/** The first of two code units that make one character. */
const endsInHalf = (text: string): boolean => {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
};

const joined = (start: Uint8Array, rest: Uint8Array): Uint8Array =>
  start.length === 0 ? rest : Buffer.concat([start, rest]);
