// A server's and a client's link against each other, over a wire that cuts and waits: nothing is lost, doubled or out of order.
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { type EndOptions, pairOf } from './pair.js';

const rng = seedFromEnv('websocket/pair');

interface Item {
  readonly data: string | Uint8Array;
  readonly binary: boolean;
}

const item = (): Item => {
  const size = rng.pick([0, 1, 10, 100, 125, 126, 1000, 5000, 70_000, 140_000]);
  const length = rng.int(size + 1);
  if (rng.int(2) === 0) return { data: rng.bytes(length), binary: true };
  return { data: rng.pick(['a', '\u20ac', '\ud83d\ude00', 'x\u00e9']).repeat(length >> 2), binary: false };
};

const same = (a: Item, b: Item | undefined): boolean =>
  b !== undefined && a.binary === b.binary && Buffer.from(a.data as string).equals(Buffer.from(b.data as string));

const cases: readonly (readonly [name: string, options: EndOptions])[] = [
  ['plain', {}],
  ['a narrow wire', { capacity: 3000 }],
  ['deflate without windows', { takeover: false }],
  ['deflate with windows, a narrow wire', { takeover: true, capacity: 20_000 }],
];

for (const [name, both] of cases) {
  t.test(`messages of all kinds cross in both directions, and back: ${name}`, async (t) => {
    const { network, server, client } = pairOf({ ...both, settings: { maxBuffered: 1 << 26 } });
    server.cut = () => 1 + rng.int(rng.pick([5, 500, 65_536]));
    client.cut = () => 1 + rng.int(rng.pick([5, 500, 65_536]));
    const sent: Item[] = [];
    const back: Item[] = [];
    server.connection.on('message', (data, binary) => {
      server.connection.send(data, { binary, ...(rng.int(3) === 0 ? { fragment: 1 + rng.int(40_000) } : {}) });
    });
    client.connection.on('message', (data, binary) => void back.push({ data, binary }));
    for (let i = 0; i < 150; i++) {
      const one = item();
      sent.push(one);
      client.connection.send(one.data, {
        binary: one.binary,
        ...(rng.int(3) === 0 ? { fragment: 1 + rng.int(9000) } : {}),
      });
      if (rng.int(10) === 0) void client.connection.ping();
      if (rng.int(4) === 0) await network.settle();
    }
    await network.settle();
    t.equal(back.length, sent.length);
    const wrong = sent.findIndex((one, i) => !same(one, back[i]));
    t.equal(wrong, -1, `seed ${rng.seed}`);
    const outcome = client.connection.close(1000, 'done');
    await network.settle();
    t.match(await outcome, { clean: true, code: 1000 });
    t.match(await server.connection.closed, { clean: true, code: 1000, reason: 'done', initiator: 'remote' });
  });
}

t.test('everything that a chunk provokes leaves in one write', async (t) => {
  const { network, server, client } = pairOf();
  server.connection.on('message', (data) => {
    server.connection.send(data);
    server.connection.send('and more');
  });
  let got = 0;
  client.connection.on('message', () => got++);
  for (let i = 0; i < 100; i++) client.connection.send(`message ${i}`);
  await network.settle();
  t.equal(got, 200);
  t.equal(client.writes, 1, 'what was sent in one turn');
  t.ok(server.writes <= 100, 'one for each chunk at most');
});

t.test('both ends are gone when the wire breaks, and know it', async (t) => {
  const { network, server, client } = pairOf();
  server.reset();
  client.reset();
  await network.settle();
  for (const { connection } of [server, client])
    t.match(await connection.closed, { code: 1006, clean: false, initiator: 'none', fault: 'WSD_SOCKET_ERROR' });
});
