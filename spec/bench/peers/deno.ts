// Deno's own WebSocket server as the benchmarks ask for it: see ../server.ts. It has no permessage-deflate. Runs in Deno.
import process from 'node:process';
import '../meter.js';
import { say } from '../lines.js';

interface Socket {
  binaryType: string;
  readonly readyState: number;
  onopen: () => void;
  onclose: () => void;
  onerror: () => void;
  onmessage: (event: { readonly data: string | ArrayBuffer }) => void;
  send(data: string | ArrayBuffer): void;
}
interface Runtime {
  serve(options: object, answer: (request: Request) => object): void;
  upgradeWebSocket(request: Request, options: object): { readonly socket: Socket; readonly response: object };
}

const { Deno } = globalThis as unknown as { readonly Deno: Runtime };
const OPEN = 1;
const all = new Set<Socket>();
const where = {
  port: Number(process.env['PORT'] ?? 0),
  hostname: '127.0.0.1',
  onListen: ({ port }: { readonly port: number }): void => say(`ws://127.0.0.1:${port}`),
};
Deno.serve(where, (request) => {
  if (request.headers.get('upgrade') !== 'websocket') return new Response('', { status: 426 });
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.binaryType = 'arraybuffer';
  socket.onopen = (): unknown => all.add(socket);
  socket.onclose = (): unknown => all.delete(socket);
  socket.onerror = (): unknown => all.delete(socket);
  socket.onmessage = ({ data }): void => {
    const first = typeof data === 'string' ? data.charCodeAt(0) : new Uint8Array(data, 0, 1)[0];
    if (first === 0x42) {
      for (const one of all) if (one.readyState === OPEN) one.send(data);
    } else if (first !== 0x53) socket.send(data);
  };
  return response;
});
