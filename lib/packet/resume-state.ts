// RS, what each end tells when a session is resumed: the number it expects, the number it will use, and which of the last 1,024 RELIABLE
// numbers it has. Numbers and a window ↔ 144 octets. Knows no session. PROTOCOL.md section 5.5.
import type { NumberWindow } from './window.js';
import { WINDOW } from './window.js';

export const RESUME_STATE_SIZE = 144;

export interface ResumeState {
  readonly nextReceive: number;
  readonly nextSend: number;
  /** Whether that number, at most 1,024 below nextReceive, was accepted with RELIABLE. */
  has(number: number): boolean;
}

const SPAN = 2 ** 32;

export const writeResumeState = (accepted: NumberWindow, nextSend: number): Uint8Array => {
  const out = new Uint8Array(RESUME_STATE_SIZE);
  const view = new DataView(out.buffer);
  put64(view, 0, accepted.next);
  put64(view, 8, nextSend);
  // Bit j, from the left and from 1: nextReceive - j.
  for (let j = 1; j <= WINDOW; j += 1) {
    if (accepted.has(accepted.next - j))
      out[16 + ((j - 1) >> 3)] = (out[16 + ((j - 1) >> 3)] as number) | (0x80 >> ((j - 1) & 7));
  }
  return out;
};

/** Undefined: not 144 octets, or a counter no session can have reached. */
export const parseResumeState = (bytes: Uint8Array): ResumeState | undefined => {
  if (bytes.length !== RESUME_STATE_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const nextReceive = get64(view, 0);
  const nextSend = get64(view, 8);
  if (!Number.isSafeInteger(nextReceive) || !Number.isSafeInteger(nextSend)) return undefined;
  const window = new Uint8Array(bytes.subarray(16));
  return {
    nextReceive,
    nextSend,
    has: (number) => {
      const j = nextReceive - number;
      return j >= 1 && j <= WINDOW && ((window[(j - 1) >> 3] as number) & (0x80 >> ((j - 1) & 7))) !== 0;
    },
  };
};

const put64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, Math.floor(value / SPAN));
  view.setUint32(at + 4, value % SPAN);
};

const get64 = (view: DataView, at: number): number => view.getUint32(at) * SPAN + view.getUint32(at + 4);
