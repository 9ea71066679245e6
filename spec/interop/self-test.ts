// A program, not a spec: a server and a client in one process, with everything that depends on the runtime, and what came of it as one
// line of JSON. spec/interop/runtimes.spec.ts runs it under every Node it is told of.

import { isStepUsable } from '../../lib/deflate/step.js';
import { simd } from '../../lib/frame/simd.js';
import { type Connection, connect, createServer, type DeflateOptions } from '../../lib/index.js';
import { canShare } from '../../lib/net/reader.js';

export interface SelfTest {
  readonly version: string;
  readonly canShare: boolean;
  readonly isStepUsable: boolean;
  readonly simd: boolean;
  /** By setting: whether every message came back as it was. */
  readonly echoes: Readonly<Record<string, boolean>>;
  /** By setting: what was agreed. */
  readonly extensions: Readonly<Record<string, string>>;
  readonly builtIn: 'absent' | 'good' | 'bad';
  readonly close: { readonly clean: number; readonly cut: number };
}

const SETTINGS: Readonly<Record<string, DeflateOptions | false>> = {
  plain: false,
  auto: { threshold: 0 },
  documented: { threshold: 0, engine: 'documented' },
  'auto, with takeover': { threshold: 0, contextTakeover: true },
  'documented, with takeover': {
    threshold: 0,
    contextTakeover: true,
    engine: 'documented',
    serverBits: 10,
    clientBits: 9,
  },
};
const SIZES = [0, 1, 126, 4_096, 65_536, 300_000];

const isEcho = async (connection: Connection<undefined>): Promise<boolean> => {
  const incoming = connection[Symbol.asyncIterator]();
  for (const size of SIZES) {
    const text = 'grüße, '.repeat(Math.ceil(size / 7)).slice(0, size);
    const bytes = Uint8Array.from({ length: size }, (_, i) => (i * i) >> 3);
    connection.send(text);
    connection.send(bytes);
    if ((await incoming.next()).value !== text) return false;
    const { value } = await incoming.next();
    if (!(value instanceof Uint8Array) || !Buffer.from(value).equals(bytes)) return false;
  }
  return (await connection.close()).clean;
};

interface Standard {
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  send(text: string): void;
  close(): void;
}

const tryBuiltIn = async (url: string): Promise<SelfTest['builtIn']> => {
  const own = Reflect.get(globalThis, 'WebSocket') as (new (url: string) => Standard) | undefined;
  if (own === undefined) return 'absent';
  const socket = new own(url);
  const text = 'grüße, '.repeat(1_000);
  let good = false;
  socket.onopen = () => socket.send(text);
  socket.onmessage = ({ data }: { data: unknown }) => {
    good = data === text;
    socket.close();
  };
  const clean = await new Promise((done) => {
    socket.onclose = ({ wasClean }: { wasClean: boolean }) => done(wasClean);
  });
  return good && clean === true ? 'good' : 'bad';
};

const run = async (): Promise<SelfTest> => {
  const echoes: Record<string, boolean> = {};
  const extensions: Record<string, string> = {};
  let builtIn: SelfTest['builtIn'] = 'absent';
  const close = { clean: 0, cut: 0 };
  for (const [name, deflate] of Object.entries(SETTINGS)) {
    const server = createServer({ deflate }, (connection) => {
      connection.on('message', (data, binary) => connection.send(data, { binary }));
    });
    const { url } = await server.listen();
    const connection = await connect(url, { deflate });
    extensions[name] = connection.extensions;
    echoes[name] = await isEcho(connection);
    if (name === 'auto') builtIn = await tryBuiltIn(url);
    const left = await connect(url);
    const { clean, cut } = await server.close({ drain: 2_000 });
    await left.closed;
    close.clean += clean;
    close.cut += cut;
  }
  return {
    version: process.version,
    canShare,
    isStepUsable: isStepUsable(),
    simd: simd !== undefined,
    echoes,
    extensions,
    builtIn,
    close,
  };
};

process.stdout.write(`${JSON.stringify(await run())}\n`);
