// `wsd decode --layer packet`: captured bytes → packets a person can read. A packet a line in hexadecimal, one packet as it is, or WebSocket
// frames with packets in them, which are unwrapped first. What is wrong is named by code; exit code 1 says so.
import { type CapturedPacket, type ExplainedPacket, explainFrames, explainPackets, type Sender } from '../index.js';
import { EXIT, type Io, UsageError } from './command.js';
import { jsonHead } from './decode-json.js';
import { jsonPacket, jsonPacketEnd } from './decode-packet-json.js';
import { reportPacket, reportPacketShort, reportPacketSummary } from './decode-packet-report.js';
import { reportHead } from './decode-report.js';
import type { Flags } from './flags.js';
import { type Head, takeHeads } from './http-head.js';
import { readKeys } from './packet-keys.js';
import { isDump, readHex, readHexLine } from './read-hex.js';
import { SIDES } from './sides.js';
import { styleFor } from './style.js';
import { count } from './terminal.js';

interface Capture {
  readonly packets: readonly CapturedPacket[];
  readonly heads: readonly Head[];
  /** What is wrong around the packets, a sentence each. */
  readonly outside: readonly string[];
}

/** One octet string for each packet; a single one when nothing parts them. */
const partsOf = (bytes: Uint8Array, isText: boolean, flags: Flags): Uint8Array[] => {
  if (!isText || flags.has('raw')) return [bytes];
  const text = Buffer.from(bytes).toString('latin1');
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  if (isDump(lines[0] ?? '')) {
    const octets = readHex(text);
    if (octets !== undefined) return [octets];
  }
  const parts = lines.map(readHexLine);
  const bad = parts.indexOf(undefined);
  if (bad < 0) return parts.filter((part) => part !== undefined);
  // The head of a handshake is text too.
  if (!flags.has('hex') && takeHeads(bytes).heads.length > 0) return [bytes];
  throw new UsageError(`line ${bad + 1} is not hexadecimal: write one packet a line, such as 00401234 4f84 68656c6c6f`);
};

/** A packet of version 0 begins with 0; the last frame of a message, and a whole one, with an octet from 80 on. */
const isFramed = (first: Uint8Array, flags: Flags): boolean =>
  flags.switch('frames') ?? (takeHeads(first).heads.length > 0 || (first[0] ?? 0) > 0x7f);

const unwrap = (bytes: Uint8Array, from: Sender | undefined): Capture => {
  const { heads, at } = takeHeads(bytes);
  const only = heads.length === 1 ? heads[0] : undefined;
  const sender = from ?? (only === undefined ? undefined : only.kind === 'request' ? 'client' : 'server');
  const explained = explainFrames(bytes.subarray(at), { from: sender });
  const packets: CapturedPacket[] = [];
  const outside: string[] = [];
  for (const { index, faults, message, sender: side } of explained.frames) {
    const frame = `frame ${index + 1}`;
    for (const { code, phrase } of faults) outside.push(`${frame}: ${code}: ${phrase}`);
    if (message === undefined) continue;
    // PROTOCOL.md section 1: a text message has no place here.
    if (message.kind === 'text') outside.push(`${frame}: a text message, which a packet session closes with 1003`);
    else packets.push({ bytes: message.data, from: side });
  }
  if (heads.some((head) => !head.complete)) outside.push('cut: the blank line that ends the head is missing');
  if (explained.rest !== undefined) outside.push('cut: the last octets do not make a whole frame header');
  if (explained.missing !== undefined) outside.push(`cut: the last frame lacks ${count(explained.missing, 'byte')}`);
  return { packets, heads, outside };
};

const join = (parts: readonly Uint8Array[]): Uint8Array =>
  parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);

/** `limit`: how much of each message to show. */
export const decodePackets = async (
  bytes: Uint8Array,
  isText: boolean,
  flags: Flags,
  limit: number,
  io: Io,
): Promise<number> => {
  const from = flags.oneOf('from', SIDES);
  const file = flags.text('key-file');
  const keys = file === undefined ? undefined : await readKeys(file);
  const parts = partsOf(bytes, isText, flags);
  const first = parts[0];
  if (first === undefined) throw new UsageError('there are no packets to decode');
  const capture = isFramed(first, flags)
    ? unwrap(join(parts), from)
    : { packets: parts.map((part) => ({ bytes: part })), heads: [], outside: [] };
  const packets = explainPackets(capture.packets, { from, keys });
  if (!flags.has('quiet')) write(packets, capture, flags, limit, io);
  const wrong = capture.outside.length > 0 || packets.some(({ faults }) => faults.length > 0);
  return wrong ? EXIT.failure : EXIT.ok;
};

const write = (packets: readonly ExplainedPacket[], capture: Capture, flags: Flags, limit: number, io: Io): void => {
  const say = (lines: readonly string[]): void => {
    io.stdout.write(`${lines.join('\n')}\n`);
  };
  if (flags.has('json')) {
    for (const head of capture.heads) say([jsonHead(head)]);
    for (const packet of packets) say([jsonPacket(packet)]);
    say([jsonPacketEnd(packets, capture.outside)]);
    return;
  }
  const style = styleFor(io.stdout, io.env);
  for (const head of capture.heads) say([...reportHead(head, style), '']);
  for (const packet of packets)
    say(flags.has('short') ? [reportPacketShort(packet, style)] : [...reportPacket(packet, style, limit), '']);
  say(reportPacketSummary(packets, capture.outside, style));
};
