// TLS around admitted sockets: each gets what belongs to it, also where Node does not tell which socket lies below.
import { readFileSync } from 'node:fs';
import { connect as dial, type Socket } from 'node:net';
import { connect as startTls, TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { upgradeRequest } from '../../fixtures/rig/wire.js';
import { isEmpty, open, until, within } from './scene.js';

const pem = (name: string): string =>
  readFileSync(new URL(`../../../fixtures/tls/${name}.pem`, import.meta.url), 'utf8');
const TLS = { cert: pem('cert'), key: pem('key') };

/** A runtime that keeps the socket below somewhere else. */
const withoutParent = (t: Test): (() => number) => {
  let asked = 0;
  Object.defineProperty(TLSSocket.prototype, '_parent', {
    configurable: true,
    set: () => {},
    get: () => {
      asked++;
      return null;
    },
  });
  t.teardown(() => Reflect.deleteProperty(TLSSocket.prototype, '_parent'));
  return () => asked;
};

const head = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    socket.on('error', reject).on('close', () => reject(new Error('closed')));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n\r\n')) resolve(text);
    });
  });

/** Says for whom it speaks, then speaks TLS. */
const dialFor = (t: Test, port: number, address: string): { raw: Socket; answer: Promise<string> } => {
  const raw = dial(port, '127.0.0.1');
  raw.on('error', () => {});
  t.teardown(() => raw.destroy());
  raw.write(`PROXY TCP4 ${address} 192.0.2.1 4711 443\r\n`);
  const socket = startTls({ socket: raw, rejectUnauthorized: false });
  const answer = head(socket);
  answer.catch(() => {});
  socket.write(upgradeRequest(port, { path: `/?${address}` }));
  return { raw, answer };
};

for (const below of ['as Node has it', 'without a way from TLS to the socket below'] as const) {
  t.test(`each connection has the seat and the address of its own socket: ${below}`, async (t) => {
    const asked = below === 'as Node has it' ? undefined : withoutParent(t);
    const options = { proxyProtocol: true, trustedProxies: ['loopback'], maxPerAddress: 1 } as const;
    const { server, port, connections, errors } = await open(t, options, undefined, { tls: TLS });
    const addresses = Array.from({ length: 12 }, (_, i) => `198.51.100.${i + 1}`);
    // One begins and never goes on: it must not be taken for another.
    const silent = dial(port, '127.0.0.1');
    silent.on('error', () => {});
    t.teardown(() => silent.destroy());
    silent.write('PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n');
    const dialled = addresses.map((address) => dialFor(t, port, address));
    for (const { answer } of dialled) t.match(await within(answer, 'the answer'), /^HTTP\/1\.1 101 /);
    t.strictSame(
      connections.map(({ remoteAddress }) => remoteAddress),
      connections.map(({ request }) => request.query),
      'no two are mixed up',
    );
    t.strictSame([...connections.map(({ remoteAddress }) => remoteAddress)].sort(), [...addresses].sort());
    if (asked !== undefined) t.ok(asked() >= addresses.length, 'it was looked for');
    silent.resetAndDestroy();
    for (const { raw } of dialled) raw.destroy();
    t.ok(await isEmpty(server), 'every seat is given back');
    t.strictSame(errors, []);
  });

  t.test(`a handshake that fails gives its seat back and harms nobody: ${below}`, async (t) => {
    if (below !== 'as Node has it') withoutParent(t);
    const { server, port, errors } = await open(t, { handshakeTimeout: 300 }, undefined, { tls: TLS });
    const wrong = ['', 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x05hello', '\x16\x03\x01'];
    for (const bytes of wrong) {
      for (const how of ['end', 'resetAndDestroy', 'stay'] as const) {
        const raw = dial(port, '127.0.0.1');
        raw.on('error', () => {});
        t.teardown(() => raw.destroy());
        raw.write(Buffer.from(bytes, 'latin1'), () => how !== 'stay' && raw[how]());
      }
    }
    t.ok(await until(() => server.counters()['accepted'] === wrong.length * 3), 'all were there');
    t.ok(await isEmpty(server));
    t.equal(server.counters()['opened'], undefined);
    const socket = startTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    t.teardown(() => socket.destroy());
    socket.write(upgradeRequest(port));
    t.match(await within(head(socket), 'the answer'), /^HTTP\/1\.1 101 /);
    t.strictSame(errors, []);
  });
}
