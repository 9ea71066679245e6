import { constants, DeflateRaw } from 'node:zlib';
import t from 'tap';
import { Deflate } from '../../lib/deflate/codec.js';
import { isStepUsable, openDeflate, openInflate } from '../../lib/deflate/step.js';
import { agreement } from './samples.js';

const text = (result: unknown): string => (result instanceof Uint8Array ? Buffer.from(result).toString() : 'a fault');

// Where this fails on a new runtime, everything still works, through the documented functions and slower: look at step.ts.
t.test('this runtime’s zlib can be driven directly', async (t) => {
  t.equal(isStepUsable(), true);
});

t.test('a step says what it took and what it made, and that it broke', async (t) => {
  const room = new Uint8Array(100);
  const deflate = openDeflate({ bits: 9, level: 6, memLevel: 1 }, undefined);
  t.ok(deflate.write(constants.Z_SYNC_FLUSH, Buffer.from('Hello'), 0, room, 3, 100));
  t.strictSame([deflate.inputLeft, deflate.roomLeft], [0, 97 - 11]);
  t.equal(Buffer.from(room.subarray(3, 14)).toString('hex'), 'f248cdc9c907000000ffff');
  deflate.reset();
  t.ok(deflate.write(constants.Z_SYNC_FLUSH, Buffer.from('..Hello'), 2, room, 0, 100));
  t.equal(Buffer.from(room.subarray(0, 11)).toString('hex'), 'f248cdc9c907000000ffff', 'as new');
  deflate.close();
  const inflate = openInflate(8);
  t.notOk(inflate.write(constants.Z_SYNC_FLUSH, Uint8Array.of(7), 0, room, 0, 100));
  t.equal(inflate.broken, true);
  inflate.close();
});

t.test('an error in one context leaves the others of the same kind alone, even from within', async (t) => {
  const codecs = Array.from({ length: 3 }, () => new Deflate('server', agreement(true), { level: 3, memLevel: 8 }));
  const hello = Buffer.from('f248cdc9c90700', 'hex');
  const seen: string[] = [];
  // When no other code is on the stack, the report of zlib's error runs what is waiting, before `inflate` returns.
  void Promise.resolve().then(() => seen.push(text(codecs[1]?.inflate(hello, 9))));
  t.match(codecs[0]?.inflate(Uint8Array.of(7), 9), { code: 'WSD_DEFLATE_DATA' });
  t.equal(text(codecs[2]?.inflate(hello, 9)), 'Hello');
  await Promise.resolve();
  t.strictSame(seen, ['Hello']);
});

// A module under another address is another instance of it, which has not tried anything yet.
const again = async (turn: string): Promise<boolean> => {
  const address: string = `../../lib/deflate/step.js?${turn}`;
  const fresh = (await import(address)) as { isStepUsable(): boolean };
  return fresh.isStepUsable();
};

t.test('a runtime whose zlib is called in another way is not driven directly', async (t) => {
  const internals = DeflateRaw.prototype as unknown as { _processChunk: (...args: unknown[]) => unknown };
  const known = internals._processChunk;
  t.teardown(() => {
    internals._processChunk = known;
  });
  t.equal(await again('known'), true);
  internals._processChunk = () => {
    throw new Error('gone');
  };
  t.equal(await again('gone'), false);
  internals._processChunk = function (this: unknown) {
    return known.call(this, Uint8Array.of(1, 2, 3), constants.Z_FULL_FLUSH);
  };
  t.equal(await again('other'), false);
});
