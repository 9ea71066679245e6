// Bytes → every frame in them, field by field with the names of RFC 6455 section 5.2, and everything that is wrong with each.
// For people: `wsd decode`, tests and bug reports; a connection never uses it. Unlike a connection it does not stop at the first
// fault, it names all of them and reads on. Pure: holds no compression, which the caller may hand in as a function; knows no text
// form, no colours and no HTTP.
import { closeCodeOf, type FaultCode, phraseOf } from '../fault.js';
import { closeName, parseClose } from './close.js';
import { explainFields } from './explain-fields.js';
import { explainData, Stream, textOf, type Verdict } from './explain-message.js';
import type { ExplainedFault, ExplainedFrame, ExplainOptions, Explanation, Sender } from './explained.js';
import { type FrameHeader, parseHeader } from './header.js';
import { mask } from './mask.js';
import { isControl, OPCODE, opcodeName } from './opcode.js';
import { checkHeader, type FrameContext } from './rules.js';

const SECTIONS: Partial<Readonly<Record<FaultCode, string>>> = {
  WSD_FRAME_RSV: 'RFC 6455 section 5.2',
  WSD_FRAME_OPCODE: 'RFC 6455 section 5.2',
  WSD_FRAME_MASK_MISSING: 'RFC 6455 section 5.1',
  WSD_FRAME_MASK_PRESENT: 'RFC 6455 section 5.1',
  WSD_FRAME_LENGTH_FORM: 'RFC 6455 section 5.2',
  WSD_FRAME_LENGTH_RANGE: 'RFC 6455 section 5.2',
  WSD_FRAME_CONTROL_LENGTH: 'RFC 6455 section 5.5',
  WSD_FRAME_CONTROL_FRAGMENT: 'RFC 6455 section 5.5',
  WSD_FRAME_CONTINUATION: 'RFC 6455 section 5.4',
  WSD_FRAME_INTERLEAVED: 'RFC 6455 section 5.4',
  WSD_FRAME_CLOSE_BODY: 'RFC 6455 section 5.5.1',
  WSD_FRAME_CLOSE_CODE: 'RFC 6455 section 7.4',
  WSD_FRAME_CLOSE_REASON: 'RFC 6455 section 5.5.1',
  WSD_MESSAGE_UTF8: 'RFC 6455 section 8.1',
  WSD_DEFLATE_DATA: 'RFC 7692 section 7.2.2',
};

const explainFault = (code: FaultCode): ExplainedFault => ({
  code,
  section: SECTIONS[code] ?? 'RFC 6455 section 7.1.7',
  phrase: phraseOf(code),
  close: closeCodeOf(code),
});

/** The header as if the fault were not there, so that the one set of rules in rules.ts can be asked for the next one. */
const mend = (h: FrameHeader, context: FrameContext, code: FaultCode): [FrameHeader, FrameContext] | undefined => {
  switch (code) {
    case 'WSD_FRAME_RSV':
      return [{ ...h, rsv: 0 }, context];
    case 'WSD_FRAME_OPCODE':
      // What a reserved opcode may do in the middle of a message nobody knows: only its being a control frame or not is.
      return [
        { ...h, opcode: isControl(h.opcode) ? OPCODE.pong : OPCODE.binary },
        { ...context, open: false },
      ];
    case 'WSD_FRAME_MASK_MISSING':
    case 'WSD_FRAME_MASK_PRESENT':
      return [h, { ...context, masked: h.masked }];
    case 'WSD_FRAME_LENGTH_RANGE':
      return [{ ...h, topBit: false }, context];
    case 'WSD_FRAME_LENGTH_FORM':
      return [{ ...h, minimal: true }, context];
    case 'WSD_FRAME_CONTROL_FRAGMENT':
      return [{ ...h, fin: true }, context];
    default:
      return undefined;
  }
};

const allFaults = (header: FrameHeader, given: FrameContext): FaultCode[] => {
  const codes: FaultCode[] = [];
  let h = header;
  let context = given;
  for (;;) {
    const code = checkHeader(h, context);
    if (code === undefined) return codes;
    codes.push(code);
    const mended = mend(h, context, code);
    if (mended === undefined) return codes;
    [h, context] = mended;
  }
};

/** Reads on after every fault, so that a person sees all of them; ends at the first cut. Takes time linear in the input. */
export const explainFrames = (bytes: Uint8Array, options: ExplainOptions = {}): Explanation => {
  const streams = { client: new Stream(), server: new Stream() };
  const frames: ExplainedFrame[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const h = parseHeader(bytes, offset);
    if (h === undefined) return { frames, rest: { offset, bytes: bytes.subarray(offset) }, ...unfinished(streams) };
    const sender = options.from ?? (h.masked ? 'client' : 'server');
    const stream = streams[sender];
    const faults = allFaults(h, {
      masked: sender === 'client',
      open: stream.open,
      deflate: options.deflate === true || options.inflate !== undefined,
    });
    const size = h.size + h.length;
    const end = Math.min(bytes.length, offset + size);
    const complete = end === offset + size;
    // A copy by the constructor: slice() of a Buffer would be a view, and unmasking would change the caller's bytes.
    const payload = new Uint8Array(bytes.subarray(offset + h.size, end));
    if (h.masked) mask(payload, h.maskKey);
    const notes: string[] = [];
    // Section 5.5.1: after sending a Close frame an endpoint sends no more data frames.
    if (stream.closed) notes.push('comes after a Close frame: a receiver ignores it');
    if (
      faults.includes('WSD_FRAME_RSV') &&
      (h.rsv & 4) !== 0 &&
      !isControl(h.opcode) &&
      h.opcode !== OPCODE.continuation
    ) {
      notes.push('RSV1 alone is right where permessage-deflate was agreed (RFC 7692 section 6)');
    }
    let close: ExplainedFrame['close'];
    let verdict: Verdict = { part: 0, faults: [], notes: [] };
    if (h.opcode <= OPCODE.binary) verdict = explainData(h, payload, complete, sender, stream, options);
    else if (h.opcode === OPCODE.close && complete) {
      stream.closed = true;
      const body = parseClose(payload);
      if ('kind' in body) faults.push(body.code);
      close = closeOf(payload);
    }
    frames.push({
      index: frames.length,
      offset,
      headerSize: h.size,
      size,
      sender,
      fin: h.fin,
      rsv: h.rsv,
      opcode: h.opcode,
      name: opcodeName(h.opcode),
      masked: h.masked,
      length: h.length,
      fields: explainFields(h, bytes, offset),
      wire: bytes.subarray(offset, end),
      payload,
      complete,
      part: verdict.part,
      faults: [...faults, ...verdict.faults].map(explainFault),
      notes: [...notes, ...verdict.notes],
      ...(close === undefined ? {} : { close }),
      ...(verdict.message === undefined ? {} : { message: verdict.message }),
    });
    if (!complete) return { frames, missing: size - (end - offset), ...unfinished(streams) };
    offset = end;
  }
  return { frames, ...unfinished(streams) };
};

/** The code and the reason even of a body that parseClose refuses: a person wants to see what was sent. */
const closeOf = (payload: Uint8Array): { code: number; name: string; reason: string } => {
  const code = payload.length < 2 ? 1005 : ((payload[0] as number) << 8) | (payload[1] as number);
  return { code, name: closeName(code), reason: textOf(payload.subarray(2)) };
};

const unfinished = (streams: Readonly<Record<Sender, Stream>>): Pick<Explanation, 'unfinished'> | object => {
  const open = streams.client.open ? streams.client : streams.server;
  return open.open ? { unfinished: { kind: open.kind, frames: open.parts.length, bytes: open.size() } } : {};
};
