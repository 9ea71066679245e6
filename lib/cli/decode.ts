// `wsd decode`: captured bytes → frames, packets or packages a person can read. Hexadecimal or raw, from the words of the command, a file or stdin. The
// HTTP head of the opening handshake is recognised and skipped. What is wrong is named by code and section; exit code 1 says so.
import { addAbortSignal, type Readable } from 'node:stream';
import { type Explanation, explainFrames, type Fault } from '../index.js';
import { type Command, CommandError, EXIT, type Io, signalExit, UsageError } from './command.js';
import { jsonEnd, jsonFrame, jsonHead } from './decode-json.js';
import { decodePackages } from './decode-packages.js';
import { decodePackets } from './decode-packets.js';
import { countFaults, reportFrame, reportHead, reportShort, reportSummary } from './decode-report.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { type Head, readHead, takeHeads } from './http-head.js';
import { Inflater } from './inflate.js';
import { readFileOrSay } from './read-file.js';
import { readHex } from './read-hex.js';
import { SIDES } from './sides.js';
import { styleFor } from './style.js';

const LAYERS = ['frame', 'packet', 'package'] as const;

const FLAGS: readonly Flag[] = [
  { name: 'file', short: 'f', value: 'PATH', help: 'read a file; - is stdin' },
  { name: 'hex', help: 'the input is hexadecimal text or a dump of xxd, hexdump -C, od or tcpdump -X' },
  { name: 'raw', help: 'the input is the bytes themselves (without --hex and --raw it is told from the input)' },
  { name: 'from', choices: SIDES, help: 'who sent the bytes; checks the masking rule' },
  { name: 'layer', choices: LAYERS, help: 'what to show (default frame)' },
  {
    name: 'frames',
    negatable: true,
    help: 'packets and packages: the input is WebSocket frames around them; told from its first octet',
  },
  {
    name: 'key-file',
    value: 'PATH',
    help: 'packets: opens sealed ones with the keys in this file: lines such as "c2s key 00…" and "c2s iv 00…", or JSON; packages: verifies them with its public key (PEM, JWK), secret (base64url) or credential',
  },
  { name: 'scopes', value: 'PATH', help: 'packages: your own scopes, as wsd scopes --json prints them' },
  {
    name: 'deflate',
    negatable: true,
    help: 'permessage-deflate was agreed: allow RSV1 and inflate; told from the handshake if it is there',
  },
  { name: 'short', help: 'one line per frame, packet or package, no drawing' },
  { name: 'bytes', value: 'N', help: 'how much of each payload to show (default 128; of packages 4k)' },
  { name: 'json', help: 'one JSON object per line' },
  { name: 'quiet', short: 'q', help: 'print nothing, only set the exit code' },
];

const USAGE = 'wsd decode [HEX… | --file PATH | -] [options]';

const HELP = `usage: ${USAGE}

Draws WebSocket frames field by field (RFC 6455 section 5.2) and says what is wrong with them. With --layer packet it draws
the packets inside binary messages, or by themselves: one a line in hexadecimal, or a single one as it is. With --layer
package it reads the tokens inside text messages, or by themselves: header, claims, body and footer, whether the signature
holds, and what is wrong by the schemas. A payload without a token, as JSON, is judged as well.

${writeFlags(FLAGS)}

examples:
  wsd decode 81 85 37 fa 21 3d 7f 9f 4d 51 58
  wsd decode --file capture.bin --from client
  xxd capture.bin | wsd decode --short
  printf '\\x88\\x02\\x03\\xe8' | wsd decode
  wsd decode --layer packet 00401234 4f84 68656c6c6f
  wsd decode --layer packet --file capture.bin --key-file keys.txt
  wsd decode --layer package --file tokens.txt --key-file dispatch.pem
  wsd decode --layer package '{"header":{"scope":0,"internal":true,"body":false}}'

exit code: 0 everything is whole and correct, 1 there are faults or something is cut, 2 usage
`;

/** Everything of stdin is held in memory; a capture longer than this is a case for other tools. */
const LONGEST = 256 * 1024 * 1024;

const readAll = async ({ stdin, signal }: Io): Promise<Uint8Array> => {
  // Ctrl-C while it waits for typing
  const stream = addAbortSignal(signal, stdin as Readable);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > LONGEST) throw new CommandError('the input is over 256 MiB: cut out the part you want to see');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
};

const readInput = async (flags: Flags, io: Io): Promise<{ bytes: Uint8Array; words: boolean }> => {
  const file = flags.text('file');
  const words = flags.positionals;
  if (file !== undefined && words.length > 0) throw new UsageError('give either bytes or --file, not both');
  const useStdin =
    file === '-' || (file === undefined && (words.length === 0 || (words.length === 1 && words[0] === '-')));
  if (useStdin) {
    if (words.length === 0 && file === undefined && io.stdin.isTTY === true) {
      throw new UsageError('give bytes to decode, for example: wsd decode 81 05 48 65 6c 6c 6f');
    }
    return { bytes: await readAll(io), words: false };
  }
  if (file === undefined) return { bytes: Buffer.from(words.join(' '), 'utf8'), words: true };
  return { bytes: await readFileOrSay(file), words: false };
};

const isPlainText = (bytes: Uint8Array): boolean =>
  bytes.every((octet) => (octet >= 0x20 && octet < 0x7f) || octet === 9 || octet === 10 || octet === 13);

/** Text that reads as hexadecimal is hexadecimal: nearly every frame begins with an octet that no text has. */
const decodeInput = (bytes: Uint8Array, words: boolean, flags: Flags): Uint8Array => {
  if (flags.has('raw') && !words) return bytes;
  const isText = isPlainText(bytes);
  const octets = isText ? readHex(Buffer.from(bytes).toString('latin1')) : undefined;
  if (octets !== undefined) return octets;
  if (words || flags.has('hex'))
    throw new UsageError('this is not hexadecimal: write the bytes as 81 05 48 65 6c 6c 6f');
  if (isText && readHead(bytes) === undefined) {
    throw new UsageError('the input is text but not hexadecimal; if it is meant to be frames as they are, add --raw');
  }
  return bytes;
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  const limit = flags.bytes('bytes') ?? 128;
  const from = flags.oneOf('from', SIDES);
  const layer = flags.oneOf('layer', LAYERS) ?? 'frame';
  const stray = layer === 'frame' ? ['key-file', 'frames'].find((name) => flags.has(name)) : undefined;
  if (stray !== undefined) throw new UsageError(`--${stray} goes with --layer packet or package`);
  if (layer !== 'package' && flags.has('scopes')) throw new UsageError('--scopes goes with --layer package');
  if (flags.has('hex') && flags.has('raw')) throw new UsageError('--hex and --raw exclude each other');
  let input: { bytes: Uint8Array; words: boolean };
  try {
    input = await readInput(flags, io);
  } catch (error) {
    if (io.signal.aborted) return signalExit(io.signal);
    throw error;
  }
  if (layer === 'packet') {
    if (input.bytes.length === 0) throw new UsageError('there are no packets to decode');
    return decodePackets(input.bytes, input.words || isPlainText(input.bytes), flags, limit, io);
  }
  if (layer === 'package') {
    // What people paste may be any text; no text begins as a frame does, with its first bit set or a control character.
    const first = input.bytes[0] ?? 0x20;
    const isText = input.words || (first >= 0x20 && first < 0x80) || first === 9 || first === 10 || first === 13;
    return decodePackages(input.bytes, isText, flags, io);
  }
  const bytes = decodeInput(input.bytes, input.words, flags);
  if (bytes.length === 0) throw new UsageError('there are no bytes to decode');
  const { heads, at } = takeHeads(bytes);
  const only = heads.length === 1 ? heads[0] : undefined;
  const sender = from ?? (only === undefined ? undefined : only.kind === 'request' ? 'client' : 'server');
  const deflate = flags.switch('deflate') ?? heads.some((head) => head.deflate);
  const inflaters = { client: new Inflater(), server: new Inflater() };
  const inflate = (payload: Uint8Array, side: 'client' | 'server'): Uint8Array | Fault =>
    inflaters[side].inflate(payload);
  const explained = explainFrames(bytes.subarray(at), { from: sender, inflate: deflate ? inflate : undefined });
  const shifted: Explanation = {
    ...explained,
    frames: explained.frames.map((frame) => ({ ...frame, offset: frame.offset + at })),
    ...(explained.rest === undefined ? {} : { rest: { ...explained.rest, offset: explained.rest.offset + at } }),
  };
  if (!flags.has('quiet')) write(shifted, heads, flags, limit, io);
  const cut = explained.rest !== undefined || explained.missing !== undefined || heads.some((head) => !head.complete);
  return cut || countFaults(explained) > 0 ? EXIT.failure : EXIT.ok;
};

const write = (explained: Explanation, heads: readonly Head[], flags: Flags, limit: number, io: Io): void => {
  const say = (lines: readonly string[]): void => {
    io.stdout.write(`${lines.join('\n')}\n`);
  };
  if (flags.has('json')) {
    for (const head of heads) say([jsonHead(head)]);
    for (const frame of explained.frames) say([jsonFrame(frame)]);
    say([jsonEnd(explained)]);
    return;
  }
  const style = styleFor(io.stdout, io.env);
  for (const head of heads) say([...reportHead(head, style), '']);
  for (const frame of explained.frames)
    say(flags.has('short') ? [reportShort(frame, style)] : [...reportFrame(frame, style, limit), '']);
  say(reportSummary(explained, heads, style));
};

export const decode: Command = {
  name: 'decode',
  summary: 'read captured frames, packets or packages field by field and name what is wrong',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
