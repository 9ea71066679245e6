// Reads the cases in fixtures/transcripts, and runs a machine on their bytes. Not a spec: machine.spec.ts asserts, the fuzzer mutates.
// What the files look like is told in fixtures/transcripts/README.md.
import { readdirSync, readFileSync } from 'node:fs';
import { decode, frameSize } from '../../fixtures/rig/wire.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { OPCODE, opcodeName } from '../../lib/frame/opcode.js';
import { KIND, type Kind, Machine, type Sink } from '../../lib/websocket/machine.js';
import type { ConnectionSettings } from '../../lib/websocket/settings.js';
import { codecOf, SETTINGS } from './pair.js';

const FOLDER = new URL('../../../fixtures/transcripts/', import.meta.url);
const KEY = 0x37fa213d;

export interface Transcript {
  readonly file: string;
  readonly name: string;
  readonly why: string;
  readonly side: 'server' | 'client';
  readonly deflate: 'fresh' | 'kept' | undefined;
  /** The code of the Close that our side has sent before. */
  readonly closing: number | undefined;
  readonly tail: boolean;
  readonly settings: ConnectionSettings;
  readonly input: Uint8Array;
  readonly out: readonly string[];
}

const closeBody = (code: number, reason: string): Uint8Array =>
  Buffer.concat([Uint8Array.of(code >> 8, code & 255), Buffer.from(reason)]);

/** `"text"`, `<hex>`, `12 x "a"`, `1000 "reason"`. */
const parsePayload = (text: string): Uint8Array => {
  const repeated = /^(\d+) x (.*)$/.exec(text);
  if (repeated !== null) return Buffer.alloc(Number(repeated[1]), parsePayload(repeated[2] as string));
  const coded = /^(\d+)(?: (".*"))?$/.exec(text);
  if (coded !== null)
    return closeBody(Number(coded[1]), coded[2] === undefined ? '' : (JSON.parse(coded[2]) as string));
  if (text.startsWith('"')) return Buffer.from(JSON.parse(text) as string);
  if (text.startsWith('<')) return Buffer.from(text.replace(/[<> ]/g, ''), 'hex');
  if (text === '') return new Uint8Array(0);
  throw new SyntaxError(`no payload: ${text}`);
};

const NAMES: Readonly<Record<string, number>> = { ...OPCODE, continue: OPCODE.continuation };

const parseLine = (line: string, side: Transcript['side']): Uint8Array => {
  if (line.startsWith('bytes ')) return Buffer.from(line.slice(6).replaceAll(' ', ''), 'hex');
  const found = /^(?:opcode (\d+)|([a-z]+))(\+?)((?: (?:rsv[123]|bare|masked))*)(?: (.*))?$/.exec(line);
  const opcode = found?.[1] === undefined ? NAMES[found?.[2] ?? ''] : Number(found[1]);
  if (found === null || opcode === undefined) throw new SyntaxError(`no frame: ${line}`);
  const flags = (found[4] ?? '').split(' ');
  const rsv = (['rsv3', 'rsv2', 'rsv1'] as const).reduce((sum, f, bit) => sum | (flags.includes(f) ? 1 << bit : 0), 0);
  const masked = side === 'server' ? !flags.includes('bare') : flags.includes('masked');
  const payload = parsePayload(found[5] ?? '');
  return encodeFrame({ opcode, fin: found[3] === '', rsv, payload, ...(masked ? { maskKey: KEY } : {}) });
};

const parseCase = (file: string, text: string): Transcript => {
  const [name = '', ...rest] = text.split('\n');
  const body = rest.join('\n');
  const block = (kind: string): string[] =>
    (body.split(`\`\`\`${kind}\n`)[1] ?? '').split('\n```')[0]?.split('\n') ?? [];
  const options = new Map([...body.matchAll(/^- ([a-zA-Z]+): (.*)$/gm)].map(([, key, value]) => [key, value]));
  const take = (key: string): string | undefined => {
    const value = options.get(key);
    options.delete(key);
    return value;
  };
  const side = take('side') === 'client' ? 'client' : 'server';
  const rate = take('rate');
  const begin = take('begin');
  const deflate = take('deflate') as Transcript['deflate'];
  const tail = take('tail') !== 'none';
  const limits = Object.fromEntries([...options].map(([key, value]) => [key, Number(value)]));
  return {
    file,
    name,
    why: body.trim().split('\n\n')[0] ?? '',
    side,
    deflate,
    closing: begin === undefined ? undefined : Number(begin.replace('close ', '')),
    tail,
    settings: {
      ...SETTINGS,
      ...limits,
      rate: rate === undefined ? undefined : { perSecond: 1, burst: Number(rate) },
    },
    input: Buffer.concat(block('in').map((line) => parseLine(line, side))),
    out: block('out'),
  };
};

export const readTranscripts = (): Transcript[] =>
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.md') && file !== 'README.md')
    .sort()
    .flatMap((file) => {
      const [, ...cases] = readFileSync(new URL(file, FOLDER), 'utf8').split(/^## /m);
      return cases.map((text) => parseCase(file, text));
    });

// ---- running

const many = (bytes: Uint8Array): boolean => bytes.length >= 64 && bytes.every((byte) => byte === bytes[0]);

/** The payload as the files write it. */
const shown = (bytes: Uint8Array, text: boolean): string => {
  if (many(bytes)) return `${bytes.length} x ${shown(bytes.subarray(0, 1), text)}`;
  if (text) return quoted(Buffer.from(bytes).toString());
  return `<${Buffer.from(bytes)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')}>`;
};

/** ASCII only, so that what cannot be seen can be read. */
const quoted = (text: string): string =>
  JSON.stringify(text).replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

const shownControl = (bytes: Uint8Array): string => {
  const back = Buffer.from(bytes).toString();
  return shown(bytes, Buffer.from(back).equals(bytes));
};

const shownFrame = (bytes: Uint8Array): string => {
  const { opcode, payload, fin, rsv } = decode(bytes);
  const odd = `${fin ? '' : '+'}${rsv === 0 ? '' : ` rsv ${rsv}`}`;
  if (opcode !== OPCODE.close) return `send ${opcodeName(opcode)}${odd} ${shownControl(payload)}`;
  if (payload.length < 2) return 'send close';
  const reason = payload.length > 2 ? ` ${shownControl(payload.subarray(2))}` : '';
  return `send close${odd} ${((payload[0] as number) << 8) | (payload[1] as number)}${reason}`;
};

/** A machine that writes down what it is told and what it writes, in the words of the files. */
export class Recorder implements Sink {
  readonly machine: Machine;
  readonly told: string[] = [];
  readonly #side: 'server' | 'client';
  #written: Uint8Array[] = [];

  constructor(how: Pick<Transcript, 'side' | 'settings' | 'deflate' | 'closing'>) {
    this.#side = how.side;
    const codec = how.deflate === undefined ? undefined : codecOf(how.side, how.deflate === 'kept');
    this.machine = new Machine(how.side, how.settings, this, codec, () => 0x01020304, 1_000);
    if (how.closing !== undefined) {
      this.machine.close(closeBody(how.closing, ''), 1_000);
      this.#flush();
      this.#written = [];
    }
  }

  /** A chunk as a driver gives it: borrowed, and overwritten after the call. */
  receive(chunk: Uint8Array): void {
    const lent = Buffer.from(chunk);
    this.machine.outbox.begin();
    this.machine.receive(lent, 1_000);
    this.#flush();
    lent.fill(0xee);
  }

  #flush(): void {
    for (const piece of this.machine.outbox.take(true)) this.#written.push(Uint8Array.from(piece));
    this.machine.outbox.settle(false);
  }

  get written(): Uint8Array {
    return Buffer.concat(this.#written);
  }

  /** Everything, as the files say it. */
  out(): string[] {
    const lines = [...this.told];
    let rest = this.written;
    while (rest.length > 0) {
      const size = frameSize(rest);
      if (size === undefined) {
        lines.push('send half a frame');
        break;
      }
      const masked = ((rest[1] as number) & 0x80) !== 0;
      lines.push(
        shownFrame(rest.subarray(0, size)) + (masked === (this.#side === 'client') ? '' : ' with the wrong mask'),
      );
      rest = rest.subarray(size);
    }
    return [...lines, `state ${this.machine.state}`];
  }

  message(bytes: Buffer, start: number, end: number, kind: Kind): void {
    const part = bytes.subarray(start, end);
    if (kind === KIND.ascii && part.some((byte) => byte > 0x7f)) this.told.push('ASCII that is none');
    this.told.push(`message ${shown(part, kind !== KIND.binary)}`);
  }

  pinged(payload: Uint8Array): void {
    this.told.push(`ping ${shownControl(payload)}`);
  }

  ponged(payload: Uint8Array): void {
    this.told.push(`pong ${shownControl(payload)}`);
  }

  closing(body: { readonly code: number; readonly reason: string }): void {
    this.told.push(`closed ${body.code} ${quoted(body.reason)}`);
  }

  broken(fault: { readonly code: string }): void {
    this.told.push(`fault ${fault.code}`);
  }
}
