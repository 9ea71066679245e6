// The floor: what a bare socket of Node costs, without WebSocket. Bytes go back as they come; with BCAST=1 to everybody.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { say } from '../lines.js';

const all = new Set<Socket>();
const broadcasts = process.env['BCAST'] === '1';
const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  if (!broadcasts) {
    socket.on('data', (chunk) => socket.write(chunk));
    return;
  }
  all.add(socket);
  socket.on('close', () => all.delete(socket));
  socket.on('data', (chunk) => {
    for (const one of all) one.write(chunk);
  });
});
server.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1', backlog: 511 }, () => {
  say(`tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
