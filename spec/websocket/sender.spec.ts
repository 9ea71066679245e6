// Messages to frames, read back by the other implementation in fixtures/rig.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { decode, frameSize, type WireFrame } from '../../fixtures/rig/wire.js';
import { Outbox } from '../../lib/websocket/outbox.js';
import { Sender } from '../../lib/websocket/sender.js';
import { codecOf, SETTINGS } from './pair.js';

const rng = seedFromEnv('websocket/sender');

interface Rig {
  readonly sender: Sender;
  readonly outbox: Outbox;
  readonly frames: () => WireFrame[];
}

const rig = (role: 'server' | 'client', takeover?: boolean): Rig => {
  const outbox = new Outbox();
  const codec = takeover === undefined ? undefined : codecOf(role, takeover);
  const entropy = role === 'client' ? (): number => Math.floor(rng.next() * 2 ** 32) : undefined;
  const sender = new Sender(outbox, codec, { ...SETTINGS, threshold: 100 }, entropy);
  return {
    sender,
    outbox,
    frames: () => {
      let rest: Uint8Array = Buffer.concat(outbox.take(true));
      outbox.settle(false);
      const frames: WireFrame[] = [];
      while (rest.length > 0) {
        const size = frameSize(rest) as number;
        frames.push(decode(rest.subarray(0, size)));
        rest = rest.subarray(size);
      }
      return frames;
    },
  };
};

const inside = (frames: readonly WireFrame[]): Buffer => Buffer.concat(frames.map((frame) => frame.payload));

for (const role of ['server', 'client'] as const) {
  for (const gathering of [false, true]) {
    t.test(
      `a ${role}'s texts of every size and script become one frame, ${gathering ? 'gathered' : 'alone'}`,
      async (t) => {
        const { sender, outbox, frames } = rig(role);
        const scripts = ['a', '\u00e4', '\u20ac', '\ud83d\ude00', '\ud800', 'a\u20ac'];
        for (const script of scripts) {
          for (const length of [0, 1, 20, 41, 42, 43, 60, 125, 126, 127, 1000, 21_845, 65_535, 65_536, 140_000]) {
            const text = script.repeat(Math.ceil(length / script.length)).slice(0, length);
            if (gathering) outbox.begin();
            sender.text(text, undefined);
            const [frame, ...more] = frames();
            if (more.length > 0 || frame?.opcode !== 1 || !frame.fin || frame.rsv !== 0) t.fail('one text frame');
            if (frame?.masked !== (role === 'client')) t.fail('section 5.1');
            if (!Buffer.from(frame?.payload ?? []).equals(Buffer.from(text))) t.fail(`${length} of ${script}`);
          }
        }
        t.pass('with lone surrogates replaced');
      },
    );

    t.test(`a ${role}'s bytes of every size become one frame, ${gathering ? 'gathered' : 'alone'}`, async (t) => {
      const { sender, outbox, frames } = rig(role);
      for (const length of [0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 131_060, 131_072, 131_073, 400_000]) {
        const payload = rng.bytes(length);
        const before = payload.slice();
        for (const transfer of [false, true]) {
          if (gathering) outbox.begin();
          sender.bytes(payload, 2, { transfer });
          const got = frames();
          if (got.length !== 1 || !inside(got).equals(before)) t.fail(`${length}, transfer ${transfer}`);
        }
        if (Buffer.compare(payload, before) !== 0) t.fail('the payload is the caller’s, and unchanged');
      }
      t.pass('as they were');
    });
  }
}

t.test('a message that is given away is queued without a copy', async (t) => {
  const { sender, outbox } = rig('server');
  const payload = rng.bytes(100_000);
  sender.bytes(payload, 2, { transfer: true });
  t.ok(outbox.take(true).includes(payload));
  outbox.settle(false);
  sender.bytes(payload, 2, undefined);
  t.notOk(outbox.take(true).includes(payload), 'and otherwise copied');
  outbox.settle(false);
});

t.test('fragments: RSV1 and the opcode on the first, FIN on the last', async (t) => {
  for (const role of ['server', 'client'] as const) {
    const { sender, frames } = rig(role);
    for (const [size, fragment, count] of [
      [10, 3, 4],
      [9, 3, 3],
      [3, 3, 1],
      [0, 3, 1],
      [4, 1, 4],
    ] as const) {
      const text = 'abcdefghij'.slice(0, size);
      sender.text(text, { fragment });
      const got = frames();
      t.equal(got.length, count);
      t.equal(inside(got).toString(), text);
      t.strictSame(
        got.map((f) => f.opcode),
        [1, ...Array<number>(count - 1).fill(0)],
      );
      t.strictSame(
        got.map((f) => f.fin),
        [...Array<boolean>(count - 1).fill(false), true],
      );
    }
    const packing = rig(role, false);
    packing.sender.bytes(
      rng.bytes(500).map((byte) => byte & 1),
      2,
      { fragment: 20 },
    );
    const got = packing.frames();
    t.ok(got.length > 1);
    t.strictSame(
      got.map((f) => f.rsv),
      [4, ...Array<number>(got.length - 1).fill(0)],
    );
    const plain = codecOf(role === 'server' ? 'client' : 'server', false).inflate(inside(got), 1000);
    t.equal((plain as Uint8Array).length, 500);
  }
});

t.test(
  'what is compressed: by the threshold, unless the message says otherwise, and only when it shrinks',
  async (t) => {
    const { sender, frames } = rig('server', false);
    const rsv = (): number => frames()[0]?.rsv ?? -1;
    sender.text('a'.repeat(99), undefined);
    t.equal(rsv(), 0, 'below the threshold');
    sender.text('a'.repeat(100), undefined);
    t.equal(rsv(), 4, 'at the threshold');
    sender.text('a'.repeat(1000), { compress: false });
    t.equal(rsv(), 0, 'not wanted');
    sender.text('a'.repeat(30), { compress: true });
    t.equal(rsv(), 4, 'wanted, short');
    sender.text('', { compress: true });
    t.equal(rsv(), 0, 'nothing to compress');
    sender.bytes(rng.bytes(300), 2, undefined);
    t.equal(rsv(), 0, 'it would have grown');
    sender.text('\u20ac'.repeat(40), { compress: true });
    t.equal(rsv(), 4, 'short in letters');
    const kept = rig('server', true);
    kept.sender.bytes(rng.bytes(300), 2, undefined);
    t.equal(kept.frames()[0]?.rsv, 4, 'it grew, but later messages may refer to it');
    const without = rig('server');
    without.sender.text('a'.repeat(1000), { compress: true });
    t.equal(without.frames()[0]?.rsv, 0, 'no deflate was agreed');
  },
);

t.test('control frames and parts', async (t) => {
  const { sender, frames } = rig('client');
  sender.control(9, Buffer.from('p'));
  sender.pong(Buffer.from('q'));
  sender.close(Uint8Array.of(3, 232));
  sender.part(1, Buffer.from('a'), false);
  sender.part(0, Buffer.from('b'), true);
  t.match(frames(), [
    { opcode: 9, fin: true, masked: true, payload: Buffer.from('p') },
    { opcode: 10, fin: true, masked: true, payload: Buffer.from('q') },
    { opcode: 8, fin: true, masked: true, payload: Buffer.from([3, 232]) },
    { opcode: 1, fin: false, masked: true, payload: Buffer.from('a') },
    { opcode: 0, fin: true, masked: true, payload: Buffer.from('b') },
  ]);
});

t.test('every frame of a client has a key of its own', async (t) => {
  const outbox = new Outbox();
  let drawn = 0;
  const sender = new Sender(outbox, undefined, SETTINGS, () => ++drawn);
  sender.text('a'.repeat(10), { fragment: 2 });
  sender.text('b', undefined);
  sender.pong(new Uint8Array(0));
  sender.bytes(new Uint8Array(70_000), 2, undefined);
  t.equal(drawn, 8);
});
