// Bun's own WebSocket server as the benchmarks ask for it: see ../server.ts. Runs in Bun.
import process from 'node:process';
import '../meter.js';
import { say } from '../lines.js';

interface Socket {
  subscribe(topic: string): void;
  send(data: string | Uint8Array, compress: boolean): void;
}
interface Server {
  readonly port: number;
  upgrade(request: object): boolean;
  publish(topic: string, data: string | Uint8Array, compress: boolean): void;
}
interface Runtime {
  serve(options: object): Server;
}

const pmd = process.env['PMD'] ?? '0';
const compress = pmd !== '0';
const coder = pmd === 'ctx' ? 'dedicated' : 'shared';
const { Bun } = globalThis as unknown as { readonly Bun: Runtime };
const server = Bun.serve({
  port: Number(process.env['PORT'] ?? 0),
  hostname: '127.0.0.1',
  fetch: (request: object, own: Server): object | undefined =>
    own.upgrade(request) ? undefined : new Response('', { status: 426 }),
  websocket: {
    maxPayloadLength: 1 << 26,
    backpressureLimit: 1 << 27,
    idleTimeout: 960,
    perMessageDeflate: compress ? { compress: coder, decompress: coder } : false,
    open: (socket: Socket): void => socket.subscribe('all'),
    message(socket: Socket, data: string | Uint8Array): void {
      const first = typeof data === 'string' ? data.charCodeAt(0) : data[0];
      if (first === 0x42) server.publish('all', data, compress);
      else if (first !== 0x53) socket.send(data, compress);
    },
  },
});
say(`ws://127.0.0.1:${server.port}`);
