// Every transcript, however it is cut, says the same; and no input makes the machine slow, large or loud after its end.
import t from 'tap';
import { byteByByte, randomCuts } from '../../fixtures/rig/chunker.js';
import { costCurve } from '../../fixtures/rig/exponent.js';
import { type Random, seedFromEnv } from '../../fixtures/rig/random.js';
import { encodeFrame } from '../../lib/frame/encode.js';
import { SETTINGS } from './pair.js';
import { Recorder, readTranscripts, type Transcript } from './transcript.js';

const rng = seedFromEnv('websocket/machine');
const transcripts = readTranscripts();
const KEY = 0x37fa213d;

const run = (how: Transcript, chunks: readonly Uint8Array[]): string[] => {
  const recorder = new Recorder(how);
  for (const chunk of chunks) recorder.receive(chunk);
  return recorder.out();
};

/** A few cuts or many, anywhere. Cheap for large inputs, where a cut at every second byte says no more than one at every tenth. */
const cuts = (bytes: Uint8Array, random: Random): Uint8Array[] => {
  if (bytes.length < 200) return randomCuts(bytes, random);
  const places = Array.from({ length: 1 + random.int(12) }, () => random.int(bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.slice(from, places[i] ?? bytes.length));
};

t.test('the transcripts are there, and each says what it is', async (t) => {
  t.ok(transcripts.length >= 180, `${transcripts.length} of them`);
  const names = transcripts.map(({ file, name }) => `${file}: ${name}`);
  t.equal(new Set(names).size, names.length, 'no name twice');
  for (const { name, why, input } of transcripts) {
    if (why === '' || why.startsWith('-') || input.length === 0) t.fail(`${name} lacks a sentence or an input`);
  }
});

for (const file of new Set(transcripts.map((transcript) => transcript.file))) {
  t.test(`${file}: whole, byte by byte, at 1,000 random cuts and with a tail`, async (t) => {
    for (const transcript of transcripts.filter((one) => one.file === file)) {
      const { input, out, name } = transcript;
      if (!t.strictSame(run(transcript, [input]), out, name)) continue;
      let failed = false;
      const same = (got: string[], want: readonly string[], how: string): void => {
        if (failed || got.join('\n') === want.join('\n')) return;
        failed = true;
        t.strictSame(got, want, `${name}: ${how}`);
      };
      same(run(transcript, byteByByte(input)), out, 'byte by byte');
      for (let i = 0; i < 1000; i++) same(run(transcript, cuts(input, rng)), out, `cut ${i} of seed ${rng.seed}`);
      if (!transcript.tail) continue;
      // Behind an open machine a ping is heard and answered, behind a closing one heard; behind the end it is nothing.
      const state = out.at(-1);
      const tail = encodeFrame({
        opcode: 9,
        payload: Buffer.from('tail'),
        ...(transcript.side === 'server' ? { maskKey: KEY } : {}),
      });
      const events = out.filter((line) => !line.startsWith('send') && line !== state);
      const sends = out.filter((line) => line.startsWith('send'));
      const heard = state === 'state open' || state === 'state closing';
      const want = [
        ...events,
        ...(heard ? ['ping "tail"'] : []),
        ...sends,
        ...(state === 'state open' ? ['send pong "tail"'] : []),
        state as string,
      ];
      const long = Buffer.concat([input, tail]);
      same(run(transcript, [long]), want, 'with a tail');
      same(run(transcript, [input, tail]), want, 'with a tail of its own');
      for (let i = 0; i < 20; i++) same(run(transcript, cuts(long, rng)), want, `tail, cut ${i} of seed ${rng.seed}`);
    }
  });
}

// ---- text

const text = (side: 'server' | 'client', parts: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat(
    parts.map((payload, i) =>
      encodeFrame({
        opcode: i === 0 ? 1 : 0,
        fin: i === parts.length - 1,
        payload,
        ...(side === 'server' ? { maskKey: KEY + i } : {}),
      }),
    ),
  );

t.test('a text may be cut into fragments and segments at every place, good or bad', async (t) => {
  const samples: readonly (readonly [bytes: Uint8Array, good: boolean])[] = [
    [Buffer.from('a\u00df\u20ac\ud83d\ude00z\u07ff\uffff'), true],
    [Buffer.from('616263e28261', 'hex'), false],
    [Buffer.from('f48fbfbff490', 'hex'), false],
    [Buffer.from('edaf80', 'hex'), false],
    [Buffer.from('e0a080e09f80', 'hex'), false],
    [Buffer.from('f0908080f08f8080', 'hex'), false],
    [Buffer.concat([Buffer.alloc(70, 'x'), Buffer.from('c3a4c3', 'hex')]), false],
  ];
  for (const side of ['server', 'client'] as const) {
    const how: Transcript = { ...(transcripts[0] as Transcript), side, settings: SETTINGS, deflate: undefined };
    for (const [bytes, good] of samples) {
      const want = good ? 'state open' : 'state failed';
      for (let i = 0; i <= bytes.length; i++) {
        for (let j = i; j <= bytes.length; j++) {
          const input = text(side, [bytes.subarray(0, i), bytes.subarray(i, j), bytes.subarray(j)]);
          const got = run(how, [input]);
          if (got.at(-1) !== want) t.fail(`${Buffer.from(bytes).toString('hex')} cut at ${i} and ${j}: ${got.join()}`);
          if (good && got.length !== 2) t.fail(`${got.join()}`);
        }
        const one = text(side, [bytes]);
        const size = one.length - bytes.length + i;
        if (run(how, [one.subarray(0, size), one.subarray(size)]).at(-1) !== want) t.fail(`segments at ${i}`);
      }
      t.pass(`${Buffer.from(bytes).toString('hex')}, by a ${side}`);
    }
  }
});

t.test('bad text is refused at the first octet that proves it', async (t) => {
  const whole = encodeFrame({ opcode: 1, payload: Buffer.from('abc\xff'.padEnd(4000, 'x'), 'latin1'), maskKey: KEY });
  const recorder = new Recorder({ side: 'server', settings: SETTINGS, deflate: undefined, closing: undefined });
  recorder.receive(whole.subarray(0, 11));
  t.equal(recorder.machine.state, 'open', 'up to here it could be text');
  recorder.receive(whole.subarray(11, 12));
  t.equal(recorder.machine.state, 'failed', 'and now it cannot');
});

// ---- holding

t.test('while held the machine reads nothing, and goes on where it was', async (t) => {
  const recorder = new Recorder({ side: 'server', settings: SETTINGS, deflate: undefined, closing: undefined });
  const frames = ['a', 'b', 'c'].map((word) => encodeFrame({ opcode: 1, payload: Buffer.from(word), maskKey: KEY }));
  recorder.receive(frames[0] as Uint8Array);
  recorder.machine.hold();
  for (const byte of byteByByte(Buffer.concat(frames.slice(1)))) recorder.receive(byte);
  t.strictSame(recorder.told, ['message "a"']);
  t.equal(recorder.machine.holding, 14);
  recorder.machine.release(1_000);
  t.strictSame(recorder.told, ['message "a"', 'message "b"', 'message "c"']);
  t.equal(recorder.machine.holding, 0);
  recorder.machine.release(1_000);
  recorder.machine.end();
  recorder.receive(frames[0] as Uint8Array);
  recorder.machine.release(1_000);
  recorder.machine.tick(9e9);
  t.equal(recorder.told.length, 3, 'after the end nothing is told');
  t.equal(recorder.machine.outbox.size, 0, 'and nothing is owed');
});

// ---- memory

t.test('memory follows what has arrived, not what a header announces', async (t) => {
  const how = {
    side: 'server',
    settings: { ...SETTINGS, maxMessage: 2 ** 30 },
    deflate: undefined,
    closing: undefined,
  };
  const recorder = new Recorder(how as Transcript);
  const before = process.memoryUsage().arrayBuffers;
  recorder.receive(Buffer.from('82ff000000003fffffff01020304', 'hex'));
  for (let i = 0; i < 100; i++) recorder.receive(Buffer.alloc(10));
  t.equal(recorder.machine.holding, 1000);
  t.ok(process.memoryUsage().arrayBuffers - before < 1 << 20, 'a gigabyte was announced and a kilobyte came');
  t.equal(recorder.machine.state, 'open');
});

// ---- time

const MIB = 1 << 20;
const SIZES = [1024, 16_384, 262_144, 4 * MIB];
const plain = { ...SETTINGS, maxMessage: 64 * MIB, maxFragments: 1 << 30 };

/** Machines on inputs of growing size; the input is unmasked in place, so each run gets the other reading of it: same work. */
const cost = async (
  make: (size: number) => Uint8Array,
  cut: (bytes: Uint8Array) => Uint8Array[],
  sizes: readonly number[] = SIZES,
  side: 'server' | 'client' = 'client',
): Promise<number> => {
  const inputs = new Map(sizes.map((size) => [size, cut(make(size)).map((chunk) => Buffer.from(chunk))]));
  const { exponent } = await costCurve(
    (size) => {
      const recorder = new Quiet({ side, settings: plain, deflate: undefined, closing: undefined });
      for (const chunk of inputs.get(size) as Buffer[]) recorder.machine.receive(chunk, 1_000);
      if (recorder.machine.state !== 'open') throw new Error('the input was to be fine');
      if (recorder.told.length === 0 && recorder.count === 0) throw new Error('nothing was read');
    },
    sizes,
    { repeats: 3, floor: 3 },
  );
  return exponent;
};

class Quiet extends Recorder {
  count = 0;
  override message(): void {
    this.count++;
  }
  override ponged(): void {
    this.count++;
  }
}

const chunked =
  (size: number) =>
  (bytes: Uint8Array): Uint8Array[] =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

const frames = (
  size: number,
  each: number,
  opcodes: readonly [first: number, next: number, fin: boolean],
): Uint8Array => {
  const one = (opcode: number, fin: boolean): Uint8Array =>
    encodeFrame({ opcode, fin, payload: Buffer.alloc(each, 'a') });
  const count = Math.max(2, Math.floor(size / one(0, true).length));
  const [first, next, fin] = opcodes;
  const middle = one(next, fin);
  return Buffer.concat([one(first, fin), ...Array.from({ length: count - 2 }, () => middle), one(next, true)]);
};

t.test('the time for a byte is the same at every size', async (t) => {
  const kernel = chunked(65_536);
  const whole = (bytes: Uint8Array): Uint8Array[] => [bytes];
  const bytes = (bytes: Uint8Array): Uint8Array[] => byteByByte(bytes);
  const message = (opcode: number) => (size: number) => encodeFrame({ opcode, payload: Buffer.alloc(size, 'a') });
  const masked = (size: number): Uint8Array => encodeFrame({ opcode: 2, payload: Buffer.alloc(size), maskKey: KEY });
  const euros = (size: number): Uint8Array =>
    encodeFrame({ opcode: 1, payload: Buffer.alloc(size - (size % 3), '\u20ac') });
  const small = [256, 1024, 4096, 16_384, 65_536];
  const cases: readonly (readonly [name: string, exponent: () => Promise<number>])[] = [
    ['one binary message', () => cost(message(2), kernel, [...SIZES, 16 * MIB])],
    ['one text message', () => cost(message(1), kernel, [...SIZES, 16 * MIB])],
    ['one text of three-octet characters in chunks that cut them', () => cost(euros, chunked(1000), SIZES)],
    ['one masked message', () => cost(masked, kernel, SIZES, 'server')],
    ['one masked message in one chunk', () => cost(masked, whole, SIZES, 'server')],
    ['one message in one chunk', () => cost(message(2), whole)],
    ['many small messages', () => cost((size) => frames(size, 10, [2, 2, true]), kernel, SIZES.slice(0, 3))],
    ['many empty messages', () => cost((size) => frames(size, 0, [1, 1, true]), kernel, SIZES.slice(0, 3))],
    ['many pongs', () => cost((size) => frames(size, 100, [10, 10, true]), kernel)],
    ['many fragments of 1 octet', () => cost((size) => frames(size, 1, [2, 0, false]), kernel, SIZES.slice(0, 3))],
    ['many fragments of 1 KiB', () => cost((size) => frames(size, 1024, [2, 0, false]), kernel)],
    ['empty fragments', () => cost((size) => frames(size, 0, [1, 0, false]), kernel, SIZES.slice(0, 3))],
    ['a message a byte at a time', () => cost(message(2), bytes, small)],
    ['messages a byte at a time', () => cost((size) => frames(size, 10, [1, 1, true]), bytes, small)],
    ['fragments a byte at a time', () => cost((size) => frames(size, 3, [1, 0, false]), bytes, small)],
    ['pongs a byte at a time', () => cost((size) => frames(size, 125, [10, 10, true]), bytes, small)],
  ];
  for (const [name, exponent] of cases) {
    const value = await exponent();
    t.ok(value < 1.15, `${name}: size^${value.toFixed(2)}`);
  }
});
