// Unit benches of what leaves: a message to a frame in the outbox and out of it again, as while a chunk is being read.
import { seeded } from '../../../fixtures/rig/random.js';
import { encodeFrame } from '../../../lib/frame/encode.js';
import { OPCODE } from '../../../lib/frame/opcode.js';
import { Outbox } from '../../../lib/websocket/outbox.js';
import { Sender } from '../../../lib/websocket/sender.js';
import { bytesFigure } from '../figures.js';
import type { Unit } from '../stopwatch.js';
import { multibyteText, payloadOf } from '../traffic.js';
import { SETTINGS } from './settings.js';

const SIZES = [64, 1024, 65_536];
const random = seeded(2);

/** A sender and a socket that takes everything at once. Returns the bytes written. */
const stage = (masked: boolean): { readonly sender: Sender; readonly write: (send: () => void) => number } => {
  const outbox = new Outbox();
  const sender = new Sender(outbox, undefined, SETTINGS, masked ? (): number => 0x37fa213d : undefined);
  const flush = (): number => {
    let size = 0;
    for (const piece of outbox.take(true)) size += piece.length;
    outbox.settle(false);
    return size;
  };
  outbox.wire = { flush: () => void flush() };
  return {
    sender,
    write: (send) => {
      outbox.begin();
      send();
      return flush();
    },
  };
};

const repeat = (write: () => number) => {
  return (count: number): number => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += write();
    return sum;
  };
};

const send = SIZES.flatMap((size): Unit[] => {
  const { sender, write } = stage(false);
  const client = stage(true);
  const ascii = payloadOf(random, 'ascii', size).toString('latin1');
  const multibyte = multibyteText(random, size).toString('utf8');
  const bytes = random.bytes(size);
  const unit = (name: string, run: () => number): Unit => ({
    group: `send ${bytesFigure(size)}`,
    name,
    bytes: size,
    run: repeat(run),
  });
  return [
    unit('binary', () => write(() => sender.bytes(bytes, OPCODE.binary, undefined))),
    unit('text, ASCII string', () => write(() => sender.text(ascii, undefined))),
    unit('text, multibyte string', () => write(() => sender.text(multibyte, undefined))),
    unit('binary, masked', () => client.write(() => client.sender.bytes(bytes, OPCODE.binary, undefined))),
    unit('a frame of its own', () => encodeFrame({ opcode: OPCODE.binary, payload: bytes }).length),
  ];
});

const gathered: Unit = (() => {
  const { sender, write } = stage(false);
  const bytes = random.bytes(64);
  return {
    group: 'send 64 B',
    name: 'binary, 32 in one write',
    bytes: 64,
    run(count) {
      let sum = 0;
      for (let i = 0; i < count; i += 32) {
        sum += write(() => {
          for (let n = 0; n < 32; n++) sender.bytes(bytes, OPCODE.binary, undefined);
        });
      }
      return sum;
    },
  };
})();

export const SENDING_UNITS: readonly Unit[] = [...send, gathered];
