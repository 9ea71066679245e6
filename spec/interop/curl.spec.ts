// curl against the real executable: the handshake of somebody who knows HTTP and nothing else. Needs curl.

import { createHash } from 'node:crypto';
import t from 'tap';
import { need } from '../../fixtures/rig/need.js';
import { type Ended, runProgram, startDaemon } from './daemon.js';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

t.test('curl shakes hands with the executable', async (t) => {
  const curl = need(t, 'curl');
  if (curl === undefined) return;
  const daemon = await startDaemon(
    t,
    ...['--path', '/chat', '--subprotocol', 'two', '--quiet'],
    // After a 101 curl stays until the server leaves.
    ...['--idle-timeout', '50', '--close-timeout', '50'],
  );
  t.equal(daemon.url, `ws://127.0.0.1:${daemon.port}/chat`);
  const base = `http://127.0.0.1:${daemon.port}`;
  const run = (path: string, ...args: readonly string[]): Promise<Ended> =>
    runProgram(curl, ['-sS', '-i', '-N', '--max-time', '10', '--noproxy', '*', ...args, base + path]);
  const upgrade = [
    '--http1.1',
    ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${KEY}`].flatMap(
      (field) => ['-H', field],
    ),
  ];

  const { out } = await run('/chat', ...upgrade, '-H', 'Sec-WebSocket-Protocol: one, two');
  const accept = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  t.match(out, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  const fields = out.toLowerCase().split('\r\n');
  t.ok(fields.includes('upgrade: websocket'));
  t.ok(fields.includes('connection: upgrade'));
  t.ok(out.split('\r\n').includes(`Sec-WebSocket-Accept: ${accept}`), 'the accept value of RFC 6455 section 1.3');
  t.equal(accept, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  t.ok(fields.includes('sec-websocket-protocol: two'));
  t.notMatch(out, /sec-websocket-extensions/i, 'nothing was offered');

  const rows: readonly [string, string, readonly string[], RegExp][] = [
    ['a page', '/chat', [], /^HTTP\/1\.1 426 [\s\S]*new WebSocket\('ws:\/\/127\.0\.0\.1:\d+\/chat'\)/],
    ['HEAD', '/chat', ['--head'], /^HTTP\/1\.1 426 [\s\S]*\r\n\r\n$/],
    ['HTTP/2 by upgrade', '/chat', ['--http2'], /^HTTP\/1\.1 426 [\s\S]*new WebSocket\(/],
    ['HTTP/2 at once', '/chat', ['--http2-prior-knowledge'], /^$|505/],
    ['HTTP/1.0', '/chat', [...upgrade, '--http1.0'], /^HTTP\/1\.1 505 /],
    ['another path', '/', upgrade, /^HTTP\/1\.1 404 [\s\S]*No WebSocket at this path\n$/],
    ['a body', '/chat', [...upgrade, '-X', 'GET', '-d', 'x'], /^HTTP\/1\.1 400 [\s\S]*must not carry a body\n$/],
    ['a page of elsewhere', '/chat', [...upgrade, '-H', 'Origin: http://evil.example'], /^HTTP\/1\.1 403 /],
    ['a rebound name', '/chat', ['-H', 'Host: evil.example'], /^HTTP\/1\.1 403 /],
    ['another version', '/chat', [...upgrade, '-H', 'Sec-WebSocket-Version: 8'], /^HTTP\/1\.1 4\d\d /],
  ];
  for (const [name, path, args, expected] of rows) t.match((await run(path, ...args)).out, expected, name);
});
