// The server that the benchmarks measure: echoes; sends a message that starts with B to every connection; drops one that starts with S.
// PORT and PMD (0: no deflate, noctx, ctx) come from the environment. TEXT=string asks for text to be decoded.
import { createServer } from '../../lib/server/server.js';
import type { Connection } from '../../lib/websocket/connection.js';
import type { Message } from '../../lib/websocket/inbox.js';

const pmd = process.env['PMD'] ?? '0';
const server = createServer({
  lend: true,
  text: process.env['TEXT'] === 'string' ? 'string' : 'bytes',
  deflate: pmd === '0' ? false : { threshold: 0, contextTakeover: pmd === 'ctx' },
  // The load generator is no page and names an origin of its own.
  origins: 'any',
  hosts: 'any',
});

// What was lent is passed on, and left alone.
const PASS_BINARY = { binary: true, transfer: true } as const;
const PASS_TEXT = { binary: false, transfer: true } as const;

/** One for all: a listener is called with its connection as `this`. */
function onMessage(this: Connection, data: Message, binary: boolean): void {
  const first = typeof data === 'string' ? data.charCodeAt(0) : data[0];
  if (first === 0x42) server.broadcast(data, { binary });
  else if (first !== 0x53) this.send(data, binary ? PASS_BINARY : PASS_TEXT);
}

server.on('connection', (connection) => void connection.on('message', onMessage));

const { url } = await server.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1' });
process.stdout.write(`${url}\n`);
