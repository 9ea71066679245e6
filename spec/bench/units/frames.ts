// Unit benches of what arrives: header, whole frames, unmasking, UTF-8, assembly, and the machine that puts them together.

import { seeded } from '../../../fixtures/rig/random.js';
import { giveMemory } from '../../../lib/bytes/spares.js';
import { isUtf8, Utf8Check } from '../../../lib/bytes/utf8.js';
import { Assembly } from '../../../lib/frame/assembly.js';
import { encodeFrame } from '../../../lib/frame/encode.js';
import { parseHeader } from '../../../lib/frame/header.js';
import { mask } from '../../../lib/frame/mask.js';
import { simd } from '../../../lib/frame/simd.js';
import { Machine, type Sink } from '../../../lib/websocket/machine.js';
import { readWhole, whole } from '../../../lib/websocket/whole.js';
import { bytesFigure } from '../figures.js';
import type { Unit } from '../stopwatch.js';
import { multibyteText, payloadOf } from '../traffic.js';
import { SETTINGS } from './settings.js';

const KEY = 0x37fa213d;
const random = seeded(1);
const frameOf = (size: number): Buffer =>
  Buffer.from(encodeFrame({ opcode: 2, payload: random.bytes(size), maskKey: KEY }));

/** The same bytes where the read buffer lies: in the memory that SIMD works on. Undefined where there is none. */
const inSimd = (bytes: Uint8Array): Buffer | undefined => {
  if (simd === undefined) return undefined;
  const place = Buffer.from(simd.memory, 0, bytes.length);
  place.set(bytes);
  return place;
};

/** What RFC 6455 section 5.3 says, as it says it: the measure for the others. */
const maskByBytes = (bytes: Uint8Array, key: number): number => {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) {
    const octet = (bytes[i] as number) ^ ((key >>> (24 - ((i & 3) << 3))) & 255);
    bytes[i] = octet;
    sum |= octet;
  }
  return sum;
};

const header = [5, 300, 70_000].map((size): Unit => {
  const frame = frameOf(size).subarray(0, 14);
  return {
    group: 'parse a header',
    name: `of ${size} B, masked`,
    run(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += parseHeader(frame)?.length ?? 0;
      return sum;
    },
  };
});

const wholeFrame = [64, 1024, 65_536].map((size): Unit => {
  const frame = frameOf(size);
  return {
    group: 'read a whole frame, unmask it',
    name: bytesFigure(size),
    bytes: size,
    run(count) {
      const bytes = inSimd(frame) ?? frame;
      let sum = 0;
      for (let i = 0; i < count; i++) sum += readWhole(bytes, 0, bytes.length, true, 1 << 24) + whole.sum;
      return sum;
    },
  };
});

const unmask = [64, 256, 1024, 16_384, 65_536].flatMap((size): Unit[] => {
  const group = `unmask ${bytesFigure(size)}`;
  const plain = Buffer.from(random.bytes(size));
  const unit = (name: string, place: () => Buffer, step: (bytes: Uint8Array, key: number) => number): Unit => ({
    group,
    name,
    bytes: size,
    run(count) {
      const bytes = place();
      let sum = 0;
      for (let i = 0; i < count; i++) sum |= step(bytes, KEY);
      return sum;
    },
  });
  const own = Buffer.from(plain);
  const words = unit('by words', () => own, mask);
  const slow = unit('byte by byte', () => own, maskByBytes);
  return simd === undefined ? [words, slow] : [unit('SIMD', () => inSimd(plain) ?? plain, mask), words, slow];
});

const utf8 = (['ascii', 'multibyte'] as const).flatMap((content) =>
  [64, 1024, 65_536].flatMap((size): Unit[] => {
    const text = content === 'ascii' ? payloadOf(random, 'ascii', size) : multibyteText(random, size);
    const group = `check UTF-8, ${content}`;
    const pieces = Array.from({ length: Math.ceil(size / 1000) }, (_, i) => text.subarray(i * 1000, (i + 1) * 1000));
    const check = new Utf8Check();
    return [
      {
        group,
        name: `${bytesFigure(size)} whole`,
        bytes: size,
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += Number(isUtf8(text));
          return sum;
        },
      },
      {
        group,
        name: `${bytesFigure(size)} in pieces of 1000 B`,
        bytes: size,
        run(count) {
          let sum = 0;
          for (let i = 0; i < count; i++) {
            for (const piece of pieces) sum += Number(check.push(piece));
            sum += Number(check.finish());
            check.reset();
          }
          return sum;
        },
      },
    ];
  }),
);

const assemble = [16, 1024].flatMap((kib): Unit[] => {
  const size = kib * 1024;
  const piece = Buffer.from(random.bytes(size / 16));
  const unit = (name: string, announced: boolean, lent: boolean): Unit => ({
    group: `assemble ${bytesFigure(size)} of 16 pieces`,
    name,
    bytes: size,
    run(count) {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const assembly = new Assembly();
        for (let n = 1; n <= 16; n++) {
          assembly.append(piece, 0, piece.length, announced ? size : n * piece.length, !announced && n < 16);
        }
        const bytes = assembly.take();
        sum += bytes.length;
        if (lent) giveMemory(bytes);
      }
      return sum;
    },
  });
  return [
    unit('one frame, memory given away', true, false),
    unit('one frame, memory lent', true, true),
    unit('16 frames, memory given away', false, false),
  ];
});

class Counter implements Sink {
  messages = 0;
  message(): void {
    this.messages++;
  }
  pinged(): void {}
  ponged(): void {}
  closing(): void {}
  broken(): void {
    throw new Error('the bench sends good frames only');
  }
}

const machine = [64, 1024].map((size): Unit => {
  const sink = new Counter();
  const receiver = new Machine('server', SETTINGS, sink, undefined, () => KEY, 0);
  const frames = Buffer.concat(Array.from({ length: 32 }, () => frameOf(size)));
  return {
    group: 'a message through the machine',
    name: `${bytesFigure(size)}, 32 in a chunk`,
    bytes: size,
    run(count) {
      const chunk = inSimd(frames) ?? frames;
      for (let i = 0; i < count; i += 32) receiver.receive(chunk, 0);
      return sink.messages;
    },
  };
});

export const FRAME_UNITS: readonly Unit[] = [
  ...header,
  ...wholeFrame,
  ...machine,
  ...unmask,
  ...utf8.filter(({ group }) => group.endsWith('ascii')),
  ...utf8.filter(({ group }) => group.endsWith('multibyte')),
  ...assemble,
];
