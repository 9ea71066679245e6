// Hostile compression: HOSTILE lines 13 and 43 to 46. Holds for every line, and is asserted by the stage: the process lives, the neighbours
// keep being answered, the connection ends in exactly one close event with one cause, a labelled counter rises, no stack trace and no
// uninitialised byte reaches the peer, and memory returns to where it was. Every case is played with either engine.

import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import t from 'tap';
import { collectGarbage } from '../../fixtures/rig/garbage.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { encode, type Wire } from '../../fixtures/rig/wire.js';
import type { DeflateOptions, FaultCode, ServerOptions } from '../../lib/index.js';
import { closeBody, closedWith, onStage, type Stage, until } from './stage.js';

const MIB = 1024 * 1024;
const TAIL = Uint8Array.of(0, 0, 255, 255);
const packed = (bytes: Uint8Array | string, dictionary?: Uint8Array): Uint8Array =>
  deflateRawSync(bytes, {
    finishFlush: constants.Z_SYNC_FLUSH,
    ...(dictionary === undefined ? {} : { dictionary: Buffer.from(dictionary) }),
  }).subarray(0, -4);
const finished = (bytes: Uint8Array | string): Uint8Array => deflateRawSync(bytes);
const unpacked = (bytes: Uint8Array): string =>
  inflateRawSync(Buffer.concat([bytes, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH }).toString();
const offer = (value = 'permessage-deflate') => ({ headers: { 'Sec-WebSocket-Extensions': value } });
const ENGINES = ['auto', 'documented'] as const;

t.test('13: an offer with bad parameters is declined, and the connection opens without compression', async (test) => {
  const declined = [
    'server_no_context_takeover; server_no_context_takeover',
    'client_no_context_takeover=1',
    'unknown',
    'unknown=1',
    '__proto__',
    'constructor=1',
    ...['', '=7', '=16', '=1000', '=08', '=8.0', '=-1', '="16"', '=+9'].map(
      (value) => `server_max_window_bits${value}`,
    ),
    ...['=7', '=16', '=010', '=x'].map((value) => `client_max_window_bits${value}`),
    'client_max_window_bits; client_max_window_bits',
  ];
  const taken: readonly (readonly [string, RegExp])[] = [
    ['server_max_window_bits="9"', /server_max_window_bits=9/],
    ['server_max_window_bits=8', /server_max_window_bits=8/],
    ['client_max_window_bits', /permessage-deflate/],
    ['client_max_window_bits=8; server_max_window_bits=8', /client_max_window_bits=8/],
  ];
  await onStage(test, { options: { deflate: true } }, async (stage) => {
    for (const params of declined) {
      const wire = await stage.upgrade(offer(`permessage-deflate; ${params}`));
      test.notMatch(wire.head, /sec-websocket-extensions/i, `${params}: declined`);
      wire.sendFrame({ opcode: 1, payload: 'x' });
      test.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'x');
      wire.sendFrame({ opcode: 1, rsv: 4, payload: packed('x') });
      await closedWith(test, wire, 'WSD_FRAME_RSV', params);
      wire.destroy();
    }
    for (const [params, answer] of taken) {
      const wire = await stage.upgrade(offer(`permessage-deflate; ${params}`));
      test.match(wire.head, answer, `${params}: taken`);
      wire.destroy();
    }
    const second = await stage.upgrade(offer('permessage-deflate; unknown, permessage-deflate'));
    test.match(second.head, /^sec-websocket-extensions: permessage-deflate/im, 'the second offer is taken');
    await stage.counted('fault:WSD_FRAME_RSV', declined.length);
  });
});

const send = (wire: Wire, payload: Uint8Array, cut = Infinity): void => {
  const frames: Uint8Array[] = [];
  let at = 0;
  do {
    const end = Math.min(payload.length, at + cut);
    frames.push(
      encode({
        opcode: at === 0 ? 2 : 0,
        rsv: at === 0 ? 4 : 0,
        fin: end === payload.length,
        payload: payload.subarray(at, end),
      }),
    );
    at = end;
  } while (at < payload.length);
  wire.write(Buffer.concat(frames));
};

t.test('43: a bomb is stopped at the cap while it inflates, whole, in parts and with takeover', async (test) => {
  // Made here, so that the memory that is measured is the server's.
  const bomb = packed(new Uint8Array(64 * MIB));
  const ratio = packed(new Uint8Array(2 * MIB));
  const text = new Uint8Array(60_000).fill(97);
  const first = packed(text);
  const second = packed(new Uint8Array(8 * MIB).fill(97), text.subarray(-32_768));
  for (const engine of ENGINES) {
    const play = (
      name: string,
      options: ServerOptions<unknown>,
      code: FaultCode,
      attack: (wire: Wire) => void,
    ): PromiseLike<unknown> =>
      test.test(`${engine}: ${name}`, (inner) =>
        onStage(inner, { options }, async (stage) => {
          collectGarbage();
          const before = process.memoryUsage().arrayBuffers;
          for (let round = 0; round < 3; round++) {
            const wire = await stage.upgrade(offer());
            inner.match(wire.head, /permessage-deflate/);
            attack(wire);
            await closedWith(inner, wire, code, name);
            wire.destroy();
          }
          await stage.counted(`fault:${code}`, 3);
          const grown = process.memoryUsage().arrayBuffers - before;
          inner.ok(grown < 16 * MIB, `memory: ${(grown / MIB).toFixed(1)} MiB more than before`);
        }),
      );
    const deflate: DeflateOptions = { engine };
    await play('whole', { deflate, maxMessage: MIB }, 'WSD_DEFLATE_SIZE', (wire) => send(wire, bomb));
    await play('in parts', { deflate, maxMessage: MIB }, 'WSD_DEFLATE_SIZE', (wire) => send(wire, bomb, 100));
    await play(
      'with takeover',
      { deflate: { engine, contextTakeover: true }, maxMessage: MIB },
      'WSD_DEFLATE_SIZE',
      (wire) => {
        send(wire, first);
        send(wire, second);
      },
    );
    await play('by its ratio', { deflate: { engine, maxRatio: 50 } }, 'WSD_DEFLATE_RATIO', (wire) => send(wire, ratio));
    await play('by its length already', { deflate, maxMessage: 1_000 }, 'WSD_MESSAGE_SIZE', (wire) => send(wire, bomb));
  }
});

t.test(
  '44: odd compressed payloads are read where RFC 7692 allows them, and fail the connection where it does not',
  async (test) => {
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(20);
    const good: readonly (readonly [string, Uint8Array, string])[] = [
      ['no octet at all', new Uint8Array(0), ''],
      ['the empty message', Uint8Array.of(0), ''],
      ['a final block', finished('final'), 'final'],
      ['a final block and another stream', Buffer.concat([finished('one '), packed('two')]), 'one two'],
      ['a stored block', Uint8Array.of(0, 2, 0, 0xfd, 0xff, 104, 105, 0), 'hi'],
      ['the tail was left on', Buffer.concat([packed('tail'), TAIL, Uint8Array.of(0)]), 'tail'],
    ];
    const bad: readonly (readonly [string, Uint8Array])[] = [
      ['noise', Uint8Array.of(0xff, 0xff, 0xff)],
      ['block type 3', Uint8Array.of(0x07)],
      ['cut in the middle', packed(text).subarray(0, 20)],
      ['a stored block with a wrong complement', Uint8Array.of(0, 2, 0, 0, 0, 104, 105)],
      ['a distance beyond the window', packed(text, Buffer.from(text))],
      ['a tree that is none', Uint8Array.of(0x04, 0xff, 0xff, 0xff, 0xff, 0xff)],
      ['thousands of final blocks', Buffer.concat(new Array<Uint8Array>(4_000).fill(finished('')))],
    ];
    for (const engine of ENGINES) {
      await onStage(test, { options: { deflate: { engine } } }, async (stage) => {
        for (const [name, payload, plain] of good) {
          const wire = await stage.upgrade(offer());
          send(wire, payload);
          test.equal(Buffer.from((await wire.readFrame()).payload).toString(), plain, `${engine}: ${name}`);
          wire.destroy();
        }
        for (const [name, payload] of bad) {
          const wire = await stage.upgrade(offer());
          // What follows a broken message is never inflated, whatever it is.
          wire.write(
            Buffer.concat([
              encode({ opcode: 2, rsv: 4, payload }),
              encode({ opcode: 2, rsv: 4, payload: packed('after') }),
            ]),
          );
          await closedWith(test, wire, 'WSD_DEFLATE_DATA', `${engine}: ${name}`);
          wire.destroy();
        }
        const wire = await stage.upgrade(offer());
        wire.write(encode({ opcode: 1, rsv: 4, payload: packed(Uint8Array.of(0x61, 0xc3)) }));
        await closedWith(test, wire, 'WSD_MESSAGE_UTF8', `${engine}: text that is not UTF-8 when inflated`);
        wire.destroy();
        await stage.counted('fault:WSD_DEFLATE_DATA', bad.length);
      });
    }
  },
);

t.test('44: noise of every kind ends in an echo or in a Close of ours, and spoils nobody else', (test) => {
  const rng = seedFromEnv('deflate noise');
  return onStage(test, { options: { deflate: { contextTakeover: true } } }, async (stage) => {
    const steady = await stage.upgrade(offer());
    let failed = 0;
    for (let round = 0; round < 60; round++) {
      const wire = await stage.upgrade(offer());
      const source = packed(rng.bytes(rng.int(300)));
      const payload = Uint8Array.from(source, (byte) => (rng.int(20) === 0 ? rng.int(256) : byte));
      send(wire, payload, 1 + rng.int(50));
      const { opcode } = await wire.readFrame();
      if (opcode === 8) failed++;
      else if (opcode !== 2) test.fail(`an answer of opcode ${opcode}`);
      wire.destroy();
      const word = `steady ${round}`;
      steady.sendFrame({ opcode: 1, rsv: 4, payload: packed(word) });
      const { payload: back, rsv } = await steady.readFrame();
      test.equal(rsv === 0 ? Buffer.from(back).toString() : unpacked(back), word);
    }
    test.ok(failed > 0 && failed < 60, `${failed} of 60 failed`);
  });
});

t.test('45: a close while compressed messages are under way settles everything', (test) => {
  const settled: string[] = [];
  return onStage(
    test,
    {
      options: { deflate: { threshold: 0, contextTakeover: true } },
      onConnection: (connection) => {
        connection.on('message', (data) => {
          for (let i = 0; i < 50; i++)
            void Promise.resolve(connection.send(data)).then((status) => settled.push(status));
        });
      },
    },
    async (stage) => {
      const endings: readonly ((wire: Wire) => void)[] = [
        (wire) => wire.sendFrame({ opcode: 8, payload: closeBody(1000) }),
        (wire) => wire.reset(),
        () => void stage.connections.at(-1)?.close(1000),
        () => stage.connections.at(-1)?.terminate(),
      ];
      for (const [number, end] of endings.entries()) {
        const wire = await stage.upgrade(offer());
        wire.write(
          Buffer.concat(
            new Array<Uint8Array>(40).fill(encode({ opcode: 2, rsv: 4, payload: packed(Buffer.alloc(2_000, 7)) })),
          ),
        );
        await wire.readFrame();
        end(wire);
        await stage.outcome(number);
        wire.destroy();
      }
      await until(() => settled.length % 50 === 0 && settled.length >= 50 * 40);
      test.equal(settled.length % 50, 0, `${settled.length} sends settled`);
      test.ok(settled.every((status) => ['ok', 'full', 'closed', 'dropped'].includes(status)));
    },
  );
});

t.test(
  '46: a secret need not meet what others wrote: without takeover no context lasts, and one message can opt out',
  async (test) => {
    const secret = 'token=0123456789abcdef'.repeat(10);
    const roundTrip = async (stage: Stage, wire: Wire): Promise<{ payload: Uint8Array; rsv: number }> => {
      stage.connections.at(-1)?.send(secret);
      return wire.readFrame();
    };
    await onStage(test, { options: { deflate: { threshold: 0 } } }, async (stage) => {
      const wire = await stage.upgrade(offer());
      test.match(wire.head, /server_no_context_takeover/);
      const first = await roundTrip(stage, wire);
      const second = await roundTrip(stage, wire);
      test.equal(first.rsv, 4);
      test.same(second.payload, first.payload, 'the same secret takes the same bytes, whatever was sent before');
      stage.connections.at(-1)?.send(secret, { compress: false });
      const plain = await wire.readFrame();
      test.equal(plain.rsv, 0);
      test.equal(Buffer.from(plain.payload).toString(), secret);
    });
    await onStage(test, { options: { deflate: { threshold: 0, contextTakeover: true } } }, async (stage) => {
      const wire = await stage.upgrade(offer());
      const first = await roundTrip(stage, wire);
      const second = await roundTrip(stage, wire);
      test.ok(second.payload.length < first.payload.length, 'with takeover, which one must ask for, it shrinks');
      stage.connections.at(-1)?.send(secret, { compress: false });
      test.equal((await wire.readFrame()).rsv, 0, 'and still one message can opt out');
    });
  },
);
