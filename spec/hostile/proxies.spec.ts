// Hostile words about addresses: HOSTILE line 17. Holds for every line, and is asserted by the stage: the process lives, the neighbours keep
// being answered, each connection ends in exactly one close event with one cause, a labelled counter rises, and no stack trace reaches the
// peer. The parsers' own cases are in spec/server; here it is asked what a server believes, over real sockets.

import t from 'tap';
import type { ServerOptions } from '../../lib/index.js';
import { onStage, sentAway, until } from './stage.js';

const TRUSTING: ServerOptions<unknown> = { trustedProxies: ['loopback'] };
const V2 = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
const v2 = (command: number, family: number, ...body: number[]): Uint8Array =>
  Uint8Array.of(...V2, command, family, body.length >> 8, body.length & 255, ...body);
const INET = [203, 0, 113, 7, 127, 0, 0, 1, 0x30, 0x39, 0, 80];

t.test(
  '17: a forwarding header is believed from trusted peers only, from right to left, and never breaks anything',
  async (test) => {
    const hops = new Array<string>(1_000).fill('1.2.3.4').join(',');
    const cases: readonly (readonly [string, ServerOptions<unknown>, Record<string, string>, string])[] = [
      ['from a peer that is not trusted', {}, { 'X-Forwarded-For': '203.0.113.7' }, '127.0.0.1'],
      ['from a trusted peer', TRUSTING, { 'X-Forwarded-For': '203.0.113.7' }, '203.0.113.7'],
      ['a client that wrote its own in front', TRUSTING, { 'X-Forwarded-For': '10.9.9.9, 203.0.113.7' }, '203.0.113.7'],
      ['another header than the one that is written', TRUSTING, { Forwarded: 'for=203.0.113.7' }, '127.0.0.1'],
      ['empty', TRUSTING, { 'X-Forwarded-For': '' }, '127.0.0.1'],
      ['only commas', TRUSTING, { 'X-Forwarded-For': ',,,,' }, '127.0.0.1'],
      ['garbage', TRUSTING, { 'X-Forwarded-For': '"\\<script>; unknown' }, '127.0.0.1'],
      ['garbage, then an address', TRUSTING, { 'X-Forwarded-For': '}{, 203.0.113.7' }, '203.0.113.7'],
      ['1,000 hops', TRUSTING, { 'X-Forwarded-For': hops }, '1.2.3.4'],
      ['1,000 trusted hops', TRUSTING, { 'X-Forwarded-For': hops.replaceAll('1.2.3.4', '127.0.0.1') }, '127.0.0.1'],
      [
        'Forwarded with an open quote',
        { ...TRUSTING, forwardingHeader: 'forwarded' },
        { Forwarded: 'for="x, for=203.0.113.7' },
        '203.0.113.7',
      ],
      [
        'Forwarded with a port and an IPv6 address',
        { ...TRUSTING, forwardingHeader: 'forwarded' },
        { Forwarded: 'for="[2001:DB8::1]:4711"' },
        '2001:db8::1',
      ],
    ];
    for (const [name, options, headers, address] of cases) {
      await test.test(name, (inner) =>
        onStage(inner, { options: { head: { line: 16_384, total: 32_768 }, ...options } }, async (stage) => {
          await stage.upgrade({ headers });
          inner.equal(stage.connections[0]?.remoteAddress, address);
        }),
      );
    }
  },
);

t.test(
  '17, 48: behind a trusted proxy the limits of an address are those of the client, and cannot be dodged by a forged one',
  (test) =>
    onStage(test, { options: { ...TRUSTING, maxPerAddress: 2 } }, async (stage) => {
      const from = (addresses: string) => ({ headers: { 'X-Forwarded-For': addresses } });
      await stage.upgrade(from('203.0.113.7'));
      await stage.upgrade(from('198.51.100.1, 203.0.113.7'));
      const third = await stage.dial();
      third.write(stage.request(from('198.51.100.2, 203.0.113.7')));
      await sentAway(test, third, 'WSD_UPGRADE_RATE');
      await stage.upgrade(from('203.0.113.8'));
      await stage.counted('refused:WSD_UPGRADE_RATE');
      test.equal(stage.connections.length, 3);
    }),
);

const PROXY: ServerOptions<unknown> = { trustedProxies: ['loopback'], proxyProtocol: true };
const neighbour = { preface: 'PROXY UNKNOWN\r\n' };

t.test('17: a PROXY header in each form names the client, however it is cut', (test) =>
  onStage(test, { options: PROXY, neighbour }, async (stage) => {
    const heads: readonly (readonly [string | Uint8Array, string])[] = [
      ['PROXY TCP4 203.0.113.7 127.0.0.1 12345 80\r\n', '203.0.113.7'],
      ['PROXY TCP6 2001:db8::7 ::1 12345 80\r\n', '2001:db8::7'],
      ['PROXY UNKNOWN anything goes here\r\n', '127.0.0.1'],
      [v2(0x21, 0x11, ...INET), '203.0.113.7'],
      [v2(0x20, 0x00), '127.0.0.1'],
      [v2(0x20, 0x11, ...INET), '127.0.0.1'],
      [v2(0x21, 0x00), '127.0.0.1'],
    ];
    for (const [head, address] of heads) {
      for (const cut of [1_000, 1]) {
        const wire = await stage.dial();
        const bytes = Buffer.concat([Buffer.from(head), Buffer.from(stage.request())]);
        for (let at = 0; at < bytes.length; at += cut) wire.write(bytes.subarray(at, at + cut));
        test.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
        test.equal(
          stage.connections.at(-1)?.remoteAddress,
          address,
          JSON.stringify(Buffer.from(head).toString('latin1')),
        );
        wire.destroy();
      }
    }
  }),
);

t.test('17: a PROXY header that is missing, broken or unknown ends the socket without a word', (test) =>
  onStage(test, { options: PROXY, neighbour }, async (stage) => {
    const bad: readonly (string | Uint8Array)[] = [
      stage.request(),
      'PROXY TCP4 203.0.113.7 127.0.0.1 12345\r\n',
      'PROXY TCP4 203.0.113.777 127.0.0.1 1 80\r\n',
      'PROXY TCP4 203.0.113.7 127.0.0.1 99999 80\r\n',
      'PROXY TCP6 203.0.113.7 127.0.0.1 1 80\r\n',
      'PROXY  TCP4 203.0.113.7 127.0.0.1 1 80\r\n',
      'PROXY TCP4 203.0.113.7 127.0.0.1 1 80\n',
      `PROXY UNKNOWN ${'x'.repeat(200)}`,
      v2(0x11, 0x11, ...INET),
      v2(0x22, 0x11, ...INET),
      v2(0x21, 0x41, ...INET),
      v2(0x21, 0x11, ...INET.slice(0, 11)),
      v2(0x21, 0x11, ...INET, 3, 0, 4, 1, 2, 3, 4),
      v2(0x21, 0x11, ...INET, 4, 255, 255),
      Uint8Array.of(...V2, 0x21, 0x11, 0xff, 0xff),
      Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 11),
    ];
    for (const [index, bytes] of bad.entries()) {
      const wire = await stage.dial();
      wire.write(bytes);
      await wire.ended();
      test.equal(wire.unread.length, 0, `header ${index}: no answer`);
      wire.destroy();
    }
    await stage.counted('refused:WSD_HTTP_PROXY', bad.length);
    test.equal(stage.connections.length, 0);
  }),
);

t.test('17: a PROXY header from a peer that is not trusted is no header, and no HTTP', (test) =>
  onStage(test, { options: { proxyProtocol: true } }, async (stage) => {
    const text = await stage.dial();
    text.write(`PROXY TCP4 203.0.113.7 127.0.0.1 12345 80\r\n${stage.request()}`);
    await sentAway(test, text, 'WSD_HTTP_REQUEST_LINE');
    const binary = await stage.dial();
    binary.write(Buffer.concat([v2(0x21, 0x11, ...INET), Buffer.from(stage.request())]));
    test.match(await binary.readHead(), /^HTTP\/1\.1 400 /);
    test.ok(await until(() => stage.refused.length === 2));
    test.ok(
      stage.refused.every(({ remoteAddress }) => remoteAddress === '127.0.0.1'),
      'and nobody is taken for another',
    );
    test.equal(stage.connections.length, 0);
    await stage.counted('refused:WSD_HTTP_REQUEST_LINE');
  }),
);
