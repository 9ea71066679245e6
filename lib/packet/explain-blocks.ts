// The blocks of an opened FINISHED or CONFIRM → what each says, for explain.ts. Goes by the octets alone, like the fields of a packet: whether
// a block may stand there is blocks.ts. PROTOCOL.md section 6.5.
import { BLOCK, parseParams, parseResumed, parseSession } from './blocks.js';
import type { ExplainedBlock } from './explained.js';

const NAMES: ReadonlyMap<number, string> = new Map([
  [BLOCK.certVerify, 'CERT_VERIFY'],
  [BLOCK.verifyData, 'VERIFY_DATA'],
  [BLOCK.params, 'PARAMS'],
  [BLOCK.resume, 'RESUME'],
  [BLOCK.session, 'SESSION'],
  [BLOCK.resumed, 'RESUMED'],
  [BLOCK.proof, 'PROOF'],
]);

/** As far as they are whole. */
export const explainBlocks = (data: Uint8Array): ExplainedBlock[] => {
  const blocks: ExplainedBlock[] = [];
  for (let at = 0; at < data.length; ) {
    const type = data[at] as number;
    const size = ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0);
    const name = NAMES.get(type) ?? `block ${type}`;
    const value = data.subarray(at + 3, at + 3 + size);
    if (data.length - at < 3 + size) {
      blocks.push({ type, name, value, meaning: 'cut off' });
      break;
    }
    blocks.push({ type, name, value, meaning: meaningOf(type, value) });
    at += 3 + size;
  }
  return blocks;
};

const meaningOf = (type: number, value: Uint8Array): string => {
  const size = `${value.length} octets`;
  if (type === BLOCK.params && value.length === 10) {
    const { maxMessage, heartbeat, ackDelay } = parseParams(value);
    return `messages up to ${maxMessage} octets, a PING after ${heartbeat} ms, an ACK within ${ackDelay} ms`;
  }
  if (type === BLOCK.session && value.length === 20) return `a fresh session, kept for ${parseSession(value).ttl} s`;
  if (type === BLOCK.resumed) {
    const resumed = parseResumed(value);
    if (resumed !== undefined) return resumed.accepted ? 'the session goes on' : 'the session is not taken up again';
  }
  if (type === BLOCK.certVerify && value.length > 2) {
    const scheme = (((value[0] as number) << 8) | (value[1] as number)).toString(16).padStart(4, '0');
    return `scheme 0x${scheme}, a signature of ${value.length - 2} octets`;
  }
  return size;
};
