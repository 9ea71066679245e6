// The data that compression cases send, made from nothing: five kinds, each of exactly the size the cases were written for, the
// same on every machine. Only size and kind matter (an echo is compared with what was sent), so no file has to be shipped.
// Knows no frames and no compression.
import type { DataName } from './case.js';

/** A small generator with a fixed seed (xorshift): the data must not differ from run to run. */
const numbers = (seed: number): (() => number) => {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
};

const WORDS =
  'river stone window garden letter morning paper silver bridge corner shadow harbour winter lantern market thread engine ' +
  'quiet narrow distant gentle hollow bright patient sudden open carry follow gather wander listen answer return build';
const wordList: readonly string[] = WORDS.split(' ');

const word = (next: () => number): string => wordList[next() % wordList.length] as string;

const sentence = (next: () => number): string => {
  const words = Array.from({ length: 6 + (next() % 12) }, () => word(next));
  const text = words.join(' ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}. `;
};

/** ASCII text of exactly `size` characters, from pieces. */
const textOf = (size: number, piece: () => string): string => {
  const parts: string[] = [];
  for (let length = 0; length < size; ) {
    const part = piece();
    parts.push(part);
    length += part.length;
  }
  return parts.join('').slice(0, size);
};

const jsonText = (): string => {
  const next = numbers(0x6a736f6e);
  let id = 0;
  return textOf(194_056, () => {
    const tags = `"${word(next)}", "${word(next)}"`;
    const place = `{"x": ${next() % 1000}, "y": ${next() % 1000}}`;
    return `{"id": ${++id}, "name": "${word(next)} ${word(next)}", "active": ${next() % 2 === 0}, "tags": [${tags}], "at": ${place}},\n`;
  });
};

/** 27 bytes more than code points: 15 code points of two bytes and 6 of three, spread over the text. */
const htmlText = (): string => {
  const next = numbers(0x68746d6c);
  const size = 263_620;
  const text = textOf(size, () => {
    const tag = ['p', 'li', 'h2', 'td'][next() % 4] as string;
    return `<${tag} class="${word(next)}">${sentence(next)}<a href="/${word(next)}/${next() % 500}">${word(next)}</a></${tag}>\n`;
  }).split('');
  for (let i = 0; i < 21; i++) text[(i + 1) * 12_000] = i < 15 ? 'é' : '€';
  return text.join('');
};

const proseText = (): string => {
  const next = numbers(0x70726f73);
  return textOf(222_218, () => sentence(next) + (next() % 5 === 0 ? '\r\n\r\n' : ''));
};

/** Smooth slopes with a little noise, three bytes a point, behind a header as bitmaps have: compresses by about a half. */
const bitmapBytes = (): Uint8Array => {
  const next = numbers(0x626d7000);
  const out = new Uint8Array(263_222);
  out.set([
    0x42, 0x4d, 0x36, 0x04, 0x04, 0, 0, 0, 0, 0, 0x36, 0x04, 0, 0, 0x28, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 1, 0, 8,
  ]);
  for (let i = 1078; i < out.length; i++) out[i] = (((i % 512) >> 1) + ((i >> 11) & 0x7f) + (next() & 3)) & 0xff;
  return out;
};

/** Mostly noise with short legible stretches: what an archive or a printed page looks like on the wire. */
const denseBytes = (): Uint8Array => {
  const next = numbers(0x64656e73);
  const out = new Uint8Array(1_042_328);
  for (let i = 0; i + 4 <= out.length; i += 4) {
    const n = (i & 0x3fff) < 1024 ? 0x2e20656e : next();
    out[i] = n;
    out[i + 1] = n >>> 8;
    out[i + 2] = n >>> 16;
    out[i + 3] = n >>> 24;
  }
  return out;
};

const made = new Map<DataName, { readonly bytes: Uint8Array; readonly points: Uint32Array | undefined }>();

/** Where each code point begins, with the end as one more; only text beyond ASCII needs it. */
const pointsOf = (bytes: Uint8Array): Uint32Array => {
  const starts: number[] = [];
  for (let i = 0; i < bytes.length; i++) if (((bytes[i] as number) & 0xc0) !== 0x80) starts.push(i);
  starts.push(bytes.length);
  return Uint32Array.from(starts);
};

const make = (name: DataName): { readonly bytes: Uint8Array; readonly points: Uint32Array | undefined } => {
  switch (name) {
    case 'json':
      return { bytes: Buffer.from(jsonText(), 'latin1'), points: undefined };
    case 'prose':
      return { bytes: Buffer.from(proseText(), 'latin1'), points: undefined };
    case 'html': {
      const bytes = Buffer.from(htmlText(), 'utf8');
      return { bytes, points: pointsOf(bytes) };
    }
    case 'bitmap':
      return { bytes: bitmapBytes(), points: undefined };
    case 'dense':
      return { bytes: denseBytes(), points: undefined };
  }
};

const dataOf = (name: DataName): { readonly bytes: Uint8Array; readonly points: Uint32Array | undefined } => {
  const have = made.get(name);
  if (have !== undefined) return have;
  const fresh = make(name);
  made.set(name, fresh);
  return fresh;
};

export const dataBytes = (name: DataName): Uint8Array => dataOf(name).bytes;

/** Message number `k`: `size` units from k*size on, wrapping round. Units are bytes, or code points where they differ. */
export const messageOf = (name: DataName, size: number, k: number): Uint8Array => {
  const { bytes, points } = dataOf(name);
  const units = points === undefined ? bytes.length : points.length - 1;
  const offset = (unit: number): number => (points === undefined ? unit : (points[unit] as number));
  const start = (k * size) % units;
  const end = start + size;
  if (end <= units) return bytes.subarray(offset(start), offset(end));
  return Buffer.concat([bytes.subarray(offset(start)), bytes.subarray(0, offset(end - units))]);
};
