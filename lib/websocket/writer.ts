// One message sent in parts while it is being made (RFC 6455 section 5.4). Between its first and its last part no other message may
// go out, so others wait in the link; control frames pass.
import { Utf8Check } from '../bytes/utf8.js';
import { OPCODE } from '../frame/opcode.js';
import type { Link } from './link.js';
import { bytesOf, type Payload } from './payload.js';
import { CLOSED, type Sent } from './sent.js';

export class MessageWriter {
  readonly #link: Link;
  readonly #check: Utf8Check | undefined;
  #opcode: number;
  #done = false;

  constructor(link: Link, kind: 'text' | 'binary') {
    this.#link = link;
    this.#opcode = kind === 'text' ? OPCODE.text : OPCODE.binary;
    this.#check = kind === 'text' ? new Utf8Check() : undefined;
    link.outgoing.beginStream();
  }

  /** A further part; text may be cut anywhere, even inside a character when given as bytes. */
  write(part: Payload): Sent {
    return this.#write(part, false);
  }

  /** The last part, which may be empty. */
  end(part: Payload = ''): Sent {
    return this.#write(part, true);
  }

  #write(part: Payload, fin: boolean): Sent {
    if (this.#done) throw new TypeError('this message is finished');
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : bytesOf(part);
    if (this.#check !== undefined && (!this.#check.push(bytes) || (fin && !this.#check.finish()))) {
      throw new TypeError('a text message must be UTF-8');
    }
    this.#done = fin;
    if (this.#link.state !== 'open') return CLOSED;
    const opcode = this.#opcode;
    this.#opcode = OPCODE.continuation;
    return this.#link.outgoing.sendPart(opcode, bytes, fin);
  }
}
