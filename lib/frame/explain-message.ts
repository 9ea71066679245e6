// Data frames → the messages they make, for explain.ts: fragments joined, text checked, compressed messages handed to the caller's
// own inflate. RFC 6455 sections 5.4 and 8.1, RFC 7692 section 6. Unlike assembly.ts it keeps on after a fault, to show it.
import { isUtf8, Utf8Check } from '../bytes/utf8.js';
import type { FaultCode } from '../fault.js';
import type { ExplainedMessage, ExplainOptions, Sender } from './explained.js';
import type { FrameHeader } from './header.js';
import { OPCODE } from './opcode.js';

/** What one sender has under way. */
export class Stream {
  kind: 'text' | 'binary' = 'text';
  compressed = false;
  open = false;
  closed = false;
  /** The text so far is already known to be bad, and was said to be. */
  bad = false;
  readonly parts: Uint8Array[] = [];
  readonly utf8: Utf8Check = new Utf8Check();

  begin(kind: 'text' | 'binary', compressed: boolean): void {
    this.kind = kind;
    this.compressed = compressed;
    this.open = true;
    this.bad = false;
    this.parts.length = 0;
    this.utf8.reset();
  }

  size(): number {
    return this.parts.reduce((sum, part) => sum + part.length, 0);
  }

  join(): Uint8Array {
    if (this.parts.length === 1) return this.parts[0] as Uint8Array;
    const out = new Uint8Array(this.size());
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

export interface Verdict {
  readonly part: number;
  readonly message?: ExplainedMessage;
  readonly faults: readonly FaultCode[];
  readonly notes: readonly string[];
}

/** Section 5.4: one data frame into its message. Faults of the header are known already; here only the content is judged. */
export const explainData = (
  h: FrameHeader,
  payload: Uint8Array,
  complete: boolean,
  from: Sender,
  stream: Stream,
  options: ExplainOptions,
): Verdict => {
  const faults: FaultCode[] = [];
  const notes: string[] = [];
  if (h.opcode !== OPCODE.continuation) stream.begin(h.opcode === OPCODE.text ? 'text' : 'binary', (h.rsv & 4) !== 0);
  else if (!stream.open) return { part: 0, faults, notes };
  stream.parts.push(payload);
  const part = stream.parts.length;
  const plainText = stream.kind === 'text' && !stream.compressed;
  // Section 8.1: bad text fails the connection, and may do so at the first bad octet.
  if (plainText && !stream.bad) {
    const last = h.fin && complete;
    if (!stream.utf8.push(payload) || (last && !stream.utf8.finish())) {
      stream.bad = true;
      faults.push('WSD_MESSAGE_UTF8');
    }
  }
  if (!h.fin || !complete) return { part, faults, notes };
  stream.open = false;
  let data = stream.join();
  if (stream.compressed) {
    const inflated = options.inflate?.(data, from);
    if (inflated === undefined) notes.push('compressed, shown as it came');
    else if (inflated instanceof Uint8Array) {
      data = inflated;
      if (stream.kind === 'text' && !isUtf8(data)) faults.push('WSD_MESSAGE_UTF8');
    } else {
      faults.push(inflated.code);
      if (inflated.detail !== undefined) notes.push(inflated.detail);
    }
    if (!(inflated instanceof Uint8Array)) {
      return { part, faults, notes, message: { kind: stream.kind, compressed: true, frames: part, data } };
    }
  }
  const message = { kind: stream.kind, compressed: stream.compressed, frames: part, data };
  if (stream.kind === 'binary' || stream.bad || faults.length > 0) return { part, message, faults, notes };
  return { part, faults, notes, message: { ...message, text: textOf(data) } };
};

export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
