// Something between a client and a server that can be cut, like a cable.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

export interface Relay {
  readonly url: string;
  /** Every connection ends without a word; later ones are carried again. */
  cut(): void;
}

export const relay = async (t: Test, url: string): Promise<Relay> => {
  const port = Number(new URL(url.replace(/^ws/, 'http')).port);
  const ends = new Set<Socket>();
  const keep = (socket: Socket): void => {
    ends.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => ends.delete(socket));
  };
  const cut = (): void => {
    for (const socket of ends) socket.destroy();
  };
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) keep(socket);
    near.pipe(far);
    far.pipe(near);
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    cut();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
};
