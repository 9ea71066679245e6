// The rules a testee's frames are held to, as the sentence that says which one was broken. Written apart from lib/frame/rules.ts,
// so that a rule forgotten there is not forgotten here as well. RFC 6455 sections 5.1-5.5 and 7.4; RFC 7692 section 6.
import { isUtf8 } from '../bytes/utf8.js';
import type { FrameHeader } from '../frame/header.js';

export const judgeFrame = (
  h: FrameHeader,
  role: 'client' | 'server',
  inMessage: boolean,
  deflate: boolean,
): string | undefined => {
  const control = h.opcode > 7;
  // RFC 7692 section 6: only RSV1, and only on the first frame of a data message.
  if (h.rsv !== 0 && !(deflate && h.rsv === 4 && (h.opcode === 1 || h.opcode === 2))) {
    return 'a reserved bit is set without an extension that gives it a meaning';
  }
  if (role === 'client' && h.masked) return 'a frame from a server is masked';
  if (role === 'server' && !h.masked) return 'a frame from a client is not masked';
  if (control && !h.fin) return 'a control frame is fragmented';
  if (control && h.length > 125) return 'a control frame has more than 125 bytes';
  if ((h.opcode > 2 && h.opcode < 8) || h.opcode > 10) return `the reserved opcode ${h.opcode}`;
  if (h.opcode === 8 && h.length === 1) return 'a Close body of one byte';
  if (h.opcode === 0 && !inMessage) return 'a continuation without a message';
  if ((h.opcode === 1 || h.opcode === 2) && inMessage) return 'a new message inside an unfinished one';
  if (h.topBit) return 'a length with its top bit set';
  return h.minimal ? undefined : 'a length that is not in its shortest form';
};

type CloseVerdict = { readonly code: number | undefined } | { readonly failWith: number; readonly wrong: string };

/** Codes that may come in a Close: the suite whose cases these are knows nothing of 1012-1014 and refuses them. */
const isLegalCode = (code: number): boolean =>
  (code >= 1000 && code <= 1011 && !(code >= 1004 && code <= 1006)) || (code >= 3000 && code <= 4999);

export const judgeCloseBody = (body: Uint8Array): CloseVerdict => {
  if (body.length < 2) return { code: undefined };
  const code = ((body[0] as number) << 8) | (body[1] as number);
  if (!isLegalCode(code)) return { failWith: 1002, wrong: `a Close with the code ${code}, which must not be sent` };
  if (!isUtf8(body.subarray(2))) return { failWith: 1007, wrong: 'a Close reason that is not UTF-8' };
  return { code };
};
