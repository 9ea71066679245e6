// uWebSockets.js, a native add-on, as the benchmarks ask for it: see ../server.ts. UWS names the module's file.
import { pathToFileURL } from 'node:url';
import { say } from '../lines.js';

interface Socket {
  subscribe(topic: string): void;
  send(data: ArrayBuffer, binary: boolean, compress: boolean): void;
}
interface App {
  ws(path: string, behaviour: object): App;
  listen(host: string, port: number, then: (token: object | false) => void): App;
  publish(topic: string, data: ArrayBuffer, binary: boolean, compress: boolean): void;
}
interface Package {
  readonly App: () => App;
  readonly us_socket_local_port: (token: object) => number;
  readonly DISABLED: number;
  readonly DEDICATED_COMPRESSOR: number;
  readonly DEDICATED_DECOMPRESSOR: number;
  readonly SHARED_COMPRESSOR: number;
  readonly SHARED_DECOMPRESSOR: number;
}

const found = (await import(pathToFileURL(process.env['UWS'] ?? '').href)) as Partial<Package> & {
  readonly default?: Package;
};
const uws = (found.App === undefined ? found.default : found) as Package;
const pmd = process.env['PMD'] ?? '0';
const compress = pmd !== '0';
const coder =
  pmd === 'ctx'
    ? uws.DEDICATED_COMPRESSOR | uws.DEDICATED_DECOMPRESSOR
    : uws.SHARED_COMPRESSOR | uws.SHARED_DECOMPRESSOR;

const app = uws.App();
app
  .ws('/*', {
    compression: compress ? coder : uws.DISABLED,
    maxPayloadLength: 1 << 26,
    maxBackpressure: 1 << 27,
    idleTimeout: 960,
    open: (socket: Socket): void => socket.subscribe('all'),
    message(socket: Socket, data: ArrayBuffer, binary: boolean): void {
      const first = new Uint8Array(data, 0, 1)[0];
      if (first === 0x42) app.publish('all', data, binary, compress);
      else if (first !== 0x53) socket.send(data, binary, compress);
    },
  })
  .listen('127.0.0.1', Number(process.env['PORT'] ?? 0), (token) => {
    if (token === false) process.exit(1);
    say(`ws://127.0.0.1:${uws.us_socket_local_port(token)}`);
  });
