// How bytes come from a socket, both ways: who floods with work has one full read a turn, and neither a pause nor an end is undone by that.
import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { SHARED_SIZE } from '../../lib/frame/simd.js';
import { canShare, type Receiver, readInto } from '../../lib/net/reader.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (what: () => boolean): Promise<boolean> => {
  const end = performance.now() + 5_000;
  while (!what() && performance.now() < end) await turn();
  return what();
};

/** Sockets of a pair: ours, and the one that talks to it. */
const pairOf = async (t: Test): Promise<readonly [ours: Socket, theirs: Socket]> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const theirs = dial((server.address() as { port: number }).port, '127.0.0.1');
  const [[ours]] = (await Promise.all([once(server, 'connection'), once(theirs, 'connect')])) as [[Socket], unknown];
  server.close();
  for (const socket of [ours, theirs]) socket.on('error', () => {});
  t.teardown(() => {
    ours.destroy();
    theirs.destroy();
  });
  return [ours, theirs];
};

class Ear implements Receiver {
  paused = false;
  size = 0;
  ends = 0;
  closes = 0;
  readonly sizes: number[] = [];
  readonly memories: Set<ArrayBufferLike> = new Set();
  heard: (chunk: Buffer) => void = () => {};
  read(chunk: Buffer): void {
    this.size += chunk.length;
    this.sizes.push(chunk.length);
    this.memories.add(chunk.buffer);
    this.heard(chunk);
  }
  ended(): void {
    this.ends++;
  }
  closed(): void {
    this.closes++;
  }
}

/** More work than a full read may make before others have their turn. */
const toil = (): void => {
  const end = performance.now() + 3;
  while (performance.now() < end);
};

/** What is said meanwhile waits in the kernel until the returned function is called. */
const held = async (sockets: Socket[], ears: Ear[], say: () => unknown): Promise<() => void> => {
  for (const ear of ears) ear.paused = true;
  for (const socket of sockets) socket.pause();
  say();
  await wait(50);
  return () => {
    for (const ear of ears) ear.paused = false;
    for (const socket of sockets) socket.resume();
  };
};

t.ok(canShare, 'this runtime lets accepted sockets share a buffer');

for (const [name, share, full] of [
  ['shared', true, SHARED_SIZE],
  ['of its own', false, 64 * 1024],
] as const) {
  t.test(`${name}: everything arrives as it was sent, whoever gets it`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const [first, second] = [new Ear(), new Ear()];
    const got: Buffer[] = [];
    for (const ear of [first, second]) ear.heard = (chunk) => got.push(Buffer.from(chunk));
    readInto(ours, first, share);
    const bytes = Buffer.alloc(3_000_000, 'abcdefg');
    theirs.write(bytes.subarray(0, 1_000_000));
    t.ok(await until(() => first.size === 1_000_000));
    readInto(ours, second, share);
    theirs.write(bytes.subarray(1_000_000));
    t.ok(await until(() => second.size === 2_000_000));
    t.equal(first.size, 1_000_000, 'the next one gets what comes next');
    t.ok(Buffer.concat(got).equals(bytes));
    if (share) t.equal(new Set([...first.memories, ...second.memories]).size, 1, 'in one memory');
  });

  t.test(`${name}: who floods with work has one full read a turn, and its neighbour is heard meanwhile`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const [quiet, neighbour] = await pairOf(t);
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns++;
      if (counting) setImmediate(count);
    };
    count();
    const ear = new Ear();
    const fullReads = new Map<number, number>();
    const order: string[] = [];
    ear.heard = (chunk) => {
      order.push('flood');
      if (chunk.length < full) return;
      fullReads.set(turns, (fullReads.get(turns) ?? 0) + 1);
      toil();
    };
    const other = new Ear();
    other.heard = () => order.push('neighbour');
    readInto(ours, ear, share);
    readInto(quiet, other, share);
    const flood = Buffer.alloc(full * 40);
    const read = await held([ours, quiet], [ear, other], () => {
      theirs.write(flood);
      neighbour.write('one');
    });
    read();
    t.ok(await until(() => ear.size === flood.length));
    counting = false;
    t.ok(fullReads.size > 1, `${fullReads.size} reads were full`);
    t.strictSame([...new Set(fullReads.values())], [1], 'never two in a turn');
    t.ok(order.indexOf('neighbour') >= 0 && order.indexOf('neighbour') <= 2, `${order.slice(0, 5)}`);
  });

  t.test(`${name}: who is done quickly, or reads little, is not kept waiting`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const ear = new Ear();
    readInto(ours, ear, share);
    let pauses = 0;
    const pause = ours.pause.bind(ours);
    const flood = async (): Promise<void> => {
      const read = await held([ours], [ear], () => theirs.write(Buffer.alloc(full * 8)));
      ours.pause = () => {
        pauses++;
        return pause();
      };
      const before = ear.size;
      read();
      t.ok(await until(() => ear.size - before === full * 8));
      ours.pause = pause;
    };
    await flood();
    t.ok(ear.sizes.some((size) => size >= full));
    t.equal(pauses, 0, 'full reads and no work');
    ours.pause = () => {
      pauses++;
      return pause();
    };
    ear.heard = toil;
    for (let i = 1; i <= 5; i++) {
      theirs.write('little');
      t.ok(await until(() => ear.size === full * 8 + i * 6));
    }
    t.equal(pauses, 0, 'work and no full reads');
    ours.pause = pause;
    await flood();
    t.ok(pauses > 0, 'both');
  });

  t.test(`${name}: who asked for no more gets no more, until it asks`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const ear = new Ear();
    ear.heard = (chunk) => {
      if (chunk.length < full) return;
      ear.paused = true;
      ours.pause();
      toil();
    };
    readInto(ours, ear, share);
    const read = await held([ours], [ear], () => theirs.write(Buffer.alloc(4 << 20)));
    read();
    for (let rounds = 0; rounds < 3; rounds++) {
      t.ok(await until(() => ear.paused));
      const { size } = ear;
      await wait(20);
      t.equal(ear.size, size);
      t.ok(ours.isPaused());
      ear.paused = false;
      ours.resume();
    }
    ear.heard = () => {};
    t.ok(await until(() => ear.size === 4 << 20), 'and then everything');
  });

  t.test(`${name}: who pauses between a full read and the next turn stays paused`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const ear = new Ear();
    ear.heard = (chunk) => {
      if (chunk.length < full || ear.paused) return;
      process.nextTick(() => {
        ear.paused = true;
        ours.pause();
      });
      toil();
    };
    readInto(ours, ear, share);
    const read = await held([ours], [ear], () => theirs.write(Buffer.alloc(4 << 20)));
    read();
    t.ok(await until(() => ear.paused));
    const { size } = ear;
    await wait(20);
    t.equal(ear.size, size);
  });

  t.test(`${name}: a socket that is destroyed by what it said stays so`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const ear = new Ear();
    const closed = once(ours, 'close');
    ear.heard = () => {
      ours.destroy();
      toil();
    };
    readInto(ours, ear, share);
    const read = await held([ours], [ear], () => theirs.write(Buffer.alloc(4 << 20)));
    read();
    await closed;
    await turn();
    t.equal(ear.sizes.length, 1);
  });
}

for (const share of [true, false]) {
  t.test(`the end of a socket is told once, to whom it belongs then${share ? '' : ', without sharing'}`, async (t) => {
    const [ours, theirs] = await pairOf(t);
    const [first, second] = [new Ear(), new Ear()];
    readInto(ours, first, share);
    const listeners = ours.listenerCount('close');
    readInto(ours, second, share);
    t.equal(ours.listenerCount('close'), listeners, 'one set of listeners for both');
    theirs.end('bye');
    t.ok(await until(() => second.ends === 1));
    ours.end();
    t.ok(await until(() => second.closes === 1));
    t.strictSame([first.size, first.ends, first.closes, second.size, second.ends], [0, 0, 0, 3, 1]);
  });
}
