// Every framing rule of RFC 6455 section 5 in one place, on the fields of one header: used on what arrives, and by the tools on
// what they build. Knows no buffers. A verdict needs the header alone, so nothing is allocated for a frame that will be refused.
import type { FaultCode } from '../fault.js';
import type { FrameHeader } from './header.js';
import { isControl, isKnownOpcode, OPCODE } from './opcode.js';

export interface FrameContext {
  /** Section 5.1: a client masks every frame, a server none. */
  readonly masked: boolean;
  /** A fragmented message is under way. */
  readonly open: boolean;
  /** RFC 7692 section 6: RSV1 marks a compressed message, on its first frame only. */
  readonly deflate: boolean;
}

export const checkHeader = (h: FrameHeader, context: FrameContext): FaultCode | undefined => {
  // 5.2 RSV: MUST be 0 unless an extension defines them.
  const allowed = context.deflate && (h.opcode === OPCODE.text || h.opcode === OPCODE.binary) ? 4 : 0;
  if ((h.rsv & ~allowed) !== 0) return 'WSD_FRAME_RSV';
  // 5.2 Opcode: an unknown one MUST fail the connection.
  if (!isKnownOpcode(h.opcode)) return 'WSD_FRAME_OPCODE';
  // 5.1: a server closes on an unmasked frame, a client on a masked one.
  if (h.masked !== context.masked) return h.masked ? 'WSD_FRAME_MASK_PRESENT' : 'WSD_FRAME_MASK_MISSING';
  // 5.2 Payload length: most significant bit 0, shortest form.
  if (h.topBit) return 'WSD_FRAME_LENGTH_RANGE';
  if (!h.minimal) return 'WSD_FRAME_LENGTH_FORM';
  if (isControl(h.opcode)) {
    // 5.5: control frames are never fragmented and carry at most 125 octets.
    if (!h.fin) return 'WSD_FRAME_CONTROL_FRAGMENT';
    if (h.length > 125) return 'WSD_FRAME_CONTROL_LENGTH';
    return undefined;
  }
  // 5.4: a continuation needs a start, a start needs the last message finished.
  if (h.opcode === OPCODE.continuation && !context.open) return 'WSD_FRAME_CONTINUATION';
  if (h.opcode !== OPCODE.continuation && context.open) return 'WSD_FRAME_INTERLEAVED';
  return undefined;
};
