// The helpers of fixtures/rig, tested as well: a rig that lies makes every spec that stands on it lie.

import { spawnSync } from 'node:child_process';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { byteByByte, cuttings, randomCuts, whole } from '../fixtures/rig/chunker.js';
import { VirtualClock } from '../fixtures/rig/clock.js';
import { costCurve, fitExponent, median } from '../fixtures/rig/exponent.js';
import { seeded, seedFromEnv } from '../fixtures/rig/random.js';
import { readSource } from '../fixtures/rig/source.js';
import { connect, decode, encode, frameSize, upgrade, upgradeRequest } from '../fixtures/rig/wire.js';

t.test('the same seed gives the same numbers, another seed others', async (t) => {
  const draw = (seed: number): number[] => {
    const rng = seeded(seed);
    return [rng.next(), rng.int(1000), ...rng.bytes(4), rng.pick([1, 2, 3])];
  };
  t.strictSame(draw(7), draw(7));
  t.notSame(draw(7), draw(8));
  t.notSame(draw(0), draw(1));
});

t.test('random numbers stay in their range and reach all of it', async (t) => {
  const rng = seedFromEnv('rig');
  const seen = new Set<number>();
  for (let i = 0; i < 2000; i += 1) {
    const next = rng.next();
    if (!(next >= 0 && next < 1)) t.fail(`${next} is out of range`);
    seen.add(rng.int(10));
  }
  t.strictSame(
    [...seen].sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  t.equal(new Set(rng.bytes(20_000)).size, 256, 'every byte turns up');
  t.throws(() => rng.pick([]), RangeError);
});

t.test('a printed seed repeats a run, and nonsense for a seed is refused', async (t) => {
  const given = process.env['WSD_SEED'];
  t.teardown(() => {
    if (given === undefined) delete process.env['WSD_SEED'];
    else process.env['WSD_SEED'] = given;
  });
  process.env['WSD_SEED'] = '42';
  t.equal(seedFromEnv('a seed from the environment').next(), seeded(42).next());
  process.env['WSD_SEED'] = 'forty-two';
  t.throws(() => seedFromEnv('nonsense'), RangeError);
});

t.test('every way of cutting gives the same bytes back, in memory of its own', async (t) => {
  const rng = seedFromEnv('cuts');
  for (const length of [0, 1, 2, 50, 3000]) {
    const bytes = rng.bytes(length);
    for (const [name, chunks] of cuttings(bytes, rng)) {
      t.strictSame(new Uint8Array(Buffer.concat(chunks)), bytes, `${length} bytes, ${name}`);
      t.ok(
        chunks.every((chunk) => chunk.buffer !== bytes.buffer),
        'copies',
      );
    }
  }
  t.equal(whole(new Uint8Array(9)).length, 1);
  t.equal(byteByByte(new Uint8Array(9)).length, 9);
  t.ok(randomCuts(new Uint8Array(5000), seeded(3)).length > 1);
});

t.test('a virtual clock runs timers in order, and only as far as it is moved', async (t) => {
  const clock = new VirtualClock(1000);
  const log: string[] = [];
  const note = (name: string) => () => log.push(`${name}@${clock.now()}`);
  clock.after(20, note('late'));
  clock.after(10, note('first'));
  clock.after(10, note('second'));
  const cancel = clock.after(15, note('cancelled'));
  clock.after(12, () => clock.after(3, note('from a timer')));
  t.equal(clock.deadline(), 1010);
  cancel();
  clock.advance(9);
  t.strictSame(log, []);
  clock.advance(7);
  t.strictSame(log, ['first@1010', 'second@1010', 'from a timer@1015']);
  clock.advance(100);
  t.strictSame(log.at(-1), 'late@1020');
  t.equal(clock.now(), 1116);
  t.equal(clock.deadline(), undefined);
});

t.test('the exponent of a known curve is found', async (t) => {
  const sizes = [100, 200, 400, 800];
  for (const exponent of [0, 1, 1.5, 2]) {
    const seconds = sizes.map((size) => 3e-9 * size ** exponent);
    t.ok(Math.abs(fitExponent(sizes, seconds) - exponent) < 1e-9, `${exponent}`);
  }
  t.throws(() => fitExponent([1], [1]), RangeError);
  t.throws(() => fitExponent([1, 2], [1]), RangeError);
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.throws(() => median([]), RangeError);
});

t.test('linear and quadratic work are told apart by measuring', async (t) => {
  let sink = 0;
  const spin = (count: number): void => {
    for (let i = 0; i < count; i += 1) sink = (sink * 31 + i) | 0;
  };
  const options = { repeats: 5, floor: 1 };
  const linear = await costCurve((size) => spin(size * 40), [500, 1000, 2000, 4000], options);
  const quadratic = await costCurve((size) => spin(size * size), [100, 200, 400, 800], options);
  t.ok(linear.exponent < 1.3, `linear work has exponent ${linear.exponent.toFixed(2)}`);
  t.ok(quadratic.exponent > 1.7, `quadratic work has exponent ${quadratic.exponent.toFixed(2)}`);
  const waiting = await costCurve(() => Promise.resolve(), [1, 2], { repeats: 1, floor: 0.1 });
  t.equal(waiting.seconds.length, 2, 'work may be a promise');
});

t.test('the example frames of RFC 6455 section 5.7 are written and read', async (t) => {
  const hello = Buffer.from('Hello');
  const cases: readonly (readonly [string, Parameters<typeof encode>[0], string])[] = [
    ['unmasked text', { opcode: 1, payload: hello, mask: false }, '810548656c6c6f'],
    ['masked text', { opcode: 1, payload: 'Hello' }, '818537fa213d7f9f4d5158'],
    ['a first fragment', { opcode: 1, fin: false, payload: 'Hel', mask: false }, '010348656c'],
    ['a last fragment', { opcode: 0, payload: 'lo', mask: false }, '80026c6f'],
    ['a ping', { opcode: 9, payload: 'Hello', mask: false }, '890548656c6c6f'],
    ['256 octets', { opcode: 2, payload: new Uint8Array(256), mask: false }, `827e0100${'00'.repeat(256)}`],
    ['64 KiB', { opcode: 2, payload: new Uint8Array(65536), mask: false }, `827f0000000000010000${'00'.repeat(65536)}`],
  ];
  for (const [name, frame, hex] of cases) {
    const bytes = encode(frame);
    t.equal(Buffer.from(bytes).toString('hex'), hex, name);
    t.equal(frameSize(bytes), bytes.length, `${name}: size`);
    t.equal(frameSize(bytes.subarray(0, -1)), undefined, `${name}: one byte less is not a frame`);
    const read = decode(bytes);
    t.same(Buffer.from(read.payload), Buffer.from(frame.payload ?? ''), `${name}: payload`);
    t.match(read, { opcode: frame.opcode, fin: frame.fin ?? true, rsv: 0, masked: frame.mask === undefined }, name);
  }
  t.throws(() => decode(Buffer.from('8105486', 'hex')), RangeError);
  t.equal(frameSize(Buffer.from('81')), undefined);
});

async function peer(t: Test, onSocket: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

t.test('the wire waits for bytes, hands over what was asked for, and sees the end', async (t) => {
  const port = await peer(t, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) =>
      socket.end(Buffer.concat([Buffer.from('head\r\n\r\n'), encode({ opcode: 2, payload: chunk }), Buffer.of(7)])),
    );
  });
  const wire = await connect(port);
  wire.write('abc');
  t.equal(await wire.readHead(), 'head\r\n\r\n');
  const frame = await wire.readFrame();
  t.equal(Buffer.from(frame.payload).toString(), 'abc');
  t.equal(frame.masked, true);
  t.equal(await wire.ended(), 'end');
  t.strictSame([...wire.unread], [7], 'what nobody read is still there');
  t.strictSame([...(await wire.readUntil((bytes) => bytes.length > 0))], [7]);
  await t.rejects(wire.read(1), /the peer was gone \(end\)/);
  wire.end();
});

t.test('a wait on the wire has a limit, and its error shows what did arrive', async (t) => {
  const port = await peer(t, (socket) => socket.on('error', () => {}).write('half a he'));
  const wire = await connect(port);
  await wire.read(4);
  await t.rejects(wire.readHead(20), { message: 'not in time; 5 bytes unread: " a he"' });
  await t.rejects(wire.ended(20), /the peer did not end/);
  wire.destroy();
});

t.test('more bytes than one buffer arrive in order, and a reset is told from an end', async (t) => {
  const bytes = seeded(11).bytes(300_000);
  const port = await peer(t, (socket) =>
    socket.on('error', () => {}).write(bytes, () => socket.once('data', () => socket.resetAndDestroy())),
  );
  const wire = await connect(port);
  t.ok(Buffer.from(await wire.read(100_000)).equals(bytes.subarray(0, 100_000)), 'the first part');
  t.ok(Buffer.from(await wire.read(200_000)).equals(bytes.subarray(100_000)), 'the rest');
  wire.write('now');
  t.equal(await wire.ended(), 'reset');
  const other = await connect(port);
  other.reset();
  t.equal(await other.ended(), 'reset');
});

t.test('a handshake by hand succeeds on the right answer, and rejects any other', async (t) => {
  const port = await peer(t, (socket) => {
    socket.on('error', () => {});
    socket.once('data', (chunk) => {
      const right = chunk.includes('GET /right ');
      socket.write(`HTTP/1.1 101 x\r\nSec-WebSocket-Accept: ${right ? 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' : 'no'}\r\n\r\n`);
      if (right) socket.end(encode({ opcode: 1, payload: 'hi', mask: false }));
    });
  });
  const wire = await upgrade(port, { path: '/right' });
  t.match(wire.head, 'HTTP/1.1 101');
  t.equal(Buffer.from((await wire.readFrame()).payload).toString(), 'hi');
  wire.sendFrame({ opcode: 8 });
  wire.end();
  await t.rejects(upgrade(port, { path: '/wrong' }), /not upgraded: "HTTP\/1\.1 101/);
  const request = upgradeRequest(8080, { path: '/x', headers: { host: 'h', upgrade: undefined, 'X-More': '1' } });
  t.strictSame(request.split('\r\n'), [
    'GET /x HTTP/1.1',
    'host: h',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version: 13',
    'X-More: 1',
    '',
    '',
  ]);
});

t.test('what is missing is skipped loudly, or fails when everything is required', async (t) => {
  const rig = new URL('../fixtures/rig/need.js', import.meta.url);
  const script = `
    import t from 'tap';
    import { need } from ${JSON.stringify(rig.href)};
    t.test('asks', async (t) => { if (need(t, 'curl') !== undefined) t.pass('found'); });`;
  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
      env: { PATH: process.env['PATH'] ?? '', ...env },
      encoding: 'utf8',
    });
  const here = run({ WSD_CURL: process.execPath });
  t.equal(here.status, 0);
  t.match(here.stdout, 'ok 1 - found');
  const skipped = run({ WSD_CURL: 'nowhere/curl' });
  t.equal(skipped.status, 0);
  t.match(skipped.stdout, /# SKIP curl is not here/);
  t.match(skipped.stderr, /\*\*\* SKIPPED: asks\n\*\*\* curl is not here: apt-get install curl/);
  const required = run({ WSD_CURL: 'nowhere/curl', WSD_REQUIRE_ALL: '1' });
  t.equal(required.status, 1);
  t.match(required.stdout, /not ok 1 - curl is not here/);
});

t.test('sources are read as code: text that looks like code is not', async (t) => {
  const source = readSource(
    [
      '#!/usr/bin/env node',
      "import type { A } from './a.js'; // import { B } from './b.js'",
      "import './side.js';",
      "export { c } from './c.js';",
      "export const d = 'x';",
      'const e = `$' + "{await import('./e.js')} import('./f.js')`;",
      'const g = d / 2 / 1, h = /[/"]\\/x/g.test(d);',
      '/* const i = /x/; */',
    ].join('\n'),
  );
  t.strictSame(source.imports, [
    { from: './a.js', typeOnly: true, line: 2 },
    { from: './side.js', typeOnly: false, line: 3 },
    { from: './c.js', typeOnly: false, line: 4 },
    { from: './e.js', typeOnly: false, line: 6 },
  ]);
  t.strictSame(source.regexLines, [7]);
  t.equal(source.lines, 8);
  t.notMatch(source.code, /\bx\b/);
  t.equal(readSource('').lines, 0);
});
