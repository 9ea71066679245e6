// CRC-32/ISO-HDLC by buffer-crc32, for runtimes without `zlib.crc32`. The package takes what the global Buffer says is one, so it gets
// views of that class where there is one. A page has none: it is lent one that says so of any bytes, for as long as the call lasts.
// PROTOCOL.md section 3.2.

import * as bufferCrc32 from 'buffer-crc32';

// The package's types describe its CommonJS half only. The running value is a signed number.
const { unsigned } = (
  bufferCrc32 as unknown as {
    readonly default: { readonly unsigned: (bytes: Uint8Array, before: number) => number };
  }
).default;

interface Global {
  Buffer?: {
    readonly isBuffer: (value: unknown) => boolean;
    readonly from?: (memory: ArrayBufferLike, at: number, size: number) => Uint8Array;
  };
}

/** Over all parts. */
export const portableCrc32 = (parts: readonly Uint8Array[]): number => {
  const world = globalThis as unknown as Global;
  const from = world.Buffer?.from;
  if (from !== undefined) {
    return parts.reduce((value, part) => unsigned(from(part.buffer, part.byteOffset, part.length), value), 0);
  }
  world.Buffer = { isBuffer: (value) => ArrayBuffer.isView(value) };
  try {
    return parts.reduce((value, part) => unsigned(part, value), 0);
  } finally {
    delete world.Buffer;
  }
};
