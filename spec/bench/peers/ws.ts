// The npm package `ws` as the benchmarks ask for it: see ../server.ts. It has no types of its own.
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { say } from '../lines.js';

interface Socket {
  readonly readyState: number;
  on(event: 'error', listener: () => void): void;
  on(event: 'message', listener: (data: Buffer, binary: boolean) => void): void;
  send(data: Buffer, options: { readonly binary: boolean }): void;
}
interface Server {
  readonly clients: ReadonlySet<Socket>;
  address(): AddressInfo;
  on(event: 'listening', listener: () => void): void;
  on(event: 'connection', listener: (socket: Socket) => void): void;
}
interface Package {
  readonly WebSocketServer: new (options: object) => Server;
}

const { WebSocketServer } = createRequire(import.meta.url)('ws') as Package;
const OPEN = 1;
const server = new WebSocketServer({
  port: Number(process.env['PORT'] ?? 0),
  host: '127.0.0.1',
  perMessageDeflate: (process.env['PMD'] ?? '0') === '0' ? false : { threshold: 0 },
});
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => {
    if (data[0] === 0x42) {
      for (const one of server.clients) if (one.readyState === OPEN) one.send(data, { binary });
    } else if (data[0] !== 0x53) socket.send(data, { binary });
  });
});
server.on('listening', () => say(`ws://127.0.0.1:${server.address().port}`));
