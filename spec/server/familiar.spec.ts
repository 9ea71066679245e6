// Heads that differ from an earlier one only in their key are not read again. Nobody may notice, except by the time it takes.
import t from 'tap';
import { connect, upgradeRequest } from '../../fixtures/rig/wire.js';
import { HeadParser } from '../../lib/http/head.js';
import { Familiar, textOfShared } from '../../lib/server/familiar.js';
import { acceptKey } from '../../lib/websocket/accept.js';
import { judgeRequest, type UpgradeRequest } from '../../lib/websocket/opening-server.js';
import { ask, open, until } from './scene.js';

const KEYS = ['dGhlIHNhbXBsZSBub25jZQ==', 'AAAAAAAAAAAAAAAAAAAAAA==', 'AQIDBAUGBwgJCgsMDQ4PEA=='] as const;
const LIMITS = { line: 8192, total: 16_384, fields: 100 };

const headOf = (key: string, more = '', target = '/chat'): Buffer =>
  Buffer.from(
    `GET ${target} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\n` +
      `Sec-WebSocket-Version: 13\r\nUser-Agent: fleet/1.0\r\n${more}\r\n`,
    'latin1',
  );

const read = (head: Buffer): UpgradeRequest => {
  const result = new HeadParser('request', LIMITS).receive(head);
  const request = result.kind === 'request' ? judgeRequest(result.head) : result;
  if (request.kind !== 'upgrade') throw new Error(`no upgrade: ${JSON.stringify(request)}`);
  return request;
};

/** All that can be seen of a request. */
const seen = ({ head, ...rest }: UpgradeRequest): unknown => ({
  ...rest,
  method: head.method,
  target: head.target,
  fields: [...head.fields.entries()],
  text: head.fields.head,
});

t.test('a head that differs only in its key gives what reading it gives', async (t) => {
  const familiar = new Familiar();
  t.equal(familiar.find(headOf(KEYS[0])), undefined, 'unknown at first');
  familiar.remember(headOf(KEYS[0]), read(headOf(KEYS[0])));
  for (const key of KEYS) {
    const found = familiar.find(headOf(key));
    if (found === undefined) return void t.fail(`${key} was not found`);
    t.strictSame(seen(found.request), seen(read(headOf(key))));
    t.equal(textOfShared(found.shared, key), headOf(key).toString('latin1'));
  }
});

t.test('any other octet that differs makes it unknown, and so does a key that is none', async (t) => {
  const familiar = new Familiar();
  const known = headOf(KEYS[0]);
  familiar.remember(known, read(known));
  const keyAt = known.indexOf(KEYS[0]);
  for (let at = 0; at < known.length; at++) {
    const other = headOf(KEYS[1]);
    other[at] = (other[at] as number) ^ 0x01;
    const inKey = at >= keyAt && at < keyAt + 24;
    const found = familiar.find(other);
    if (!inKey && found !== undefined) t.fail(`octet ${at} was not looked at`);
    // A key is sixteen octets in canonical base64: the padding and the last digit cannot be anything.
    if (inKey && at >= keyAt + 21 && found !== undefined) t.fail(`octet ${at} makes it no key`);
  }
  for (const cut of [1, 24, known.length - 1]) t.equal(familiar.find(known.subarray(0, cut)), undefined);
  t.equal(familiar.find(Buffer.concat([known, Buffer.from('x')])), undefined, 'nor with bytes behind it');
});

t.test('what carries a credential is not kept', async (t) => {
  const secrets = [
    headOf(KEYS[0], 'Cookie: session=1\r\n'),
    headOf(KEYS[0], 'Authorization: Bearer x\r\n'),
    headOf(KEYS[0], 'Proxy-Authorization: Basic x\r\n'),
    headOf(KEYS[0], 'Sec-WebSocket-Protocol: token.x\r\n'),
    headOf(KEYS[0], '', '/chat?token=x'),
  ];
  const familiar = new Familiar();
  for (const head of secrets) {
    familiar.remember(head, read(head));
    t.equal(familiar.find(head), undefined, head.toString('latin1'));
  }
});

t.test('the kinds it knows are few: the oldest makes room', async (t) => {
  const familiar = new Familiar();
  const kinds = Array.from({ length: 9 }, (_, i) => headOf(KEYS[0], `X-Kind: ${i}\r\n`));
  for (const head of kinds) familiar.remember(head, read(head));
  t.strictSame(
    kinds.map((head) => familiar.find(head) !== undefined),
    [false, true, true, true, true, true, true, true, true],
  );
});

t.test(
  'on a server each has its own answer and its own request, and is judged and authorized like the first',
  async (t) => {
    const asked: (string | undefined)[] = [];
    const scene = await open(t, {
      origins: ['https://good.example'],
      authorize: (request) => {
        asked.push(request.fields.get('sec-websocket-key'));
        return asked.length === 3 ? { status: 403 } : { data: undefined };
      },
    });
    const good = { origin: 'https://good.example' };
    for (const [i, key] of KEYS.entries()) {
      const answer = await ask(
        scene.port,
        upgradeRequest(scene.port, { headers: { ...good, 'Sec-WebSocket-Key': key } }),
      );
      t.equal(answer.status, i === 2 ? 403 : 101);
      if (i < 2) t.ok(answer.head.includes(acceptKey(key)), 'the answer to its own key');
    }
    t.strictSame(asked, [...KEYS]);
    t.ok(await until(() => scene.connections.length === 2));
    t.strictSame(
      scene.connections.map(({ request }) => [request.fields.get('sec-websocket-key'), request.path, request.origin]),
      [
        [KEYS[0], '/', good.origin],
        [KEYS[1], '/', good.origin],
      ],
    );
    const [one] = scene.connections;
    t.equal(one?.request, one?.request, 'read once');
    for (const key of KEYS) {
      const bad = await ask(
        scene.port,
        upgradeRequest(scene.port, { headers: { origin: 'https://bad.example', 'Sec-WebSocket-Key': key } }),
      );
      t.equal(bad.status, 403, 'refused each time, also when its head was seen before');
    }
    t.equal(asked.length, 3);
  },
);

t.test('bytes that come with a known head wait for the answer like those of any other', async (t) => {
  const scene = await open(t);
  for (const key of KEYS) {
    const wire = await connect(scene.port);
    wire.write(upgradeRequest(scene.port, { headers: { 'Sec-WebSocket-Key': key } }));
    t.ok(await until(() => Buffer.from(wire.unread).includes(acceptKey(key))));
    wire.destroy();
  }
  const wire = await connect(scene.port);
  const text = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
  wire.write(
    Buffer.concat([Buffer.from(upgradeRequest(scene.port, { headers: { 'Sec-WebSocket-Key': KEYS[1] } })), text]),
  );
  t.ok(await until(() => Buffer.from(wire.unread).includes(Buffer.from([0x81, 0x02, 0x68, 0x69]))));
  wire.destroy();
});
