// The WebSocket of browsers: the rules of the WebSockets living standard, one after the other, against a raw peer.

import t, { type Test } from 'tap';
import { encode, type Wire } from '../../fixtures/rig/wire.js';
import type { CloseEvent, FailureEvent } from '../../lib/client/events.js';
import { WebSocket, type WebSocketOptions } from '../../lib/client/standard.js';
import { WsdError } from '../../lib/fault.js';
import { accept, closeProperly, fieldOf, LOCALHOST, serve } from './raw-server.js';

/** The shape that scripts and libraries written for pages expect, as TypeScript's DOM library has it. */
interface PageWebSocket extends EventTarget {
  binaryType: 'blob' | 'arraybuffer';
  readonly bufferedAmount: number;
  readonly extensions: string;
  onclose: ((event: PageCloseEvent) => unknown) | null;
  onerror: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onopen: ((event: Event) => unknown) | null;
  readonly protocol: string;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly url: string;
  close(code?: number, reason?: string): void;
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob): void;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  addEventListener(type: 'close', listener: (event: PageCloseEvent) => unknown, options?: boolean): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => unknown, options?: { once?: boolean }): void;
  addEventListener(type: string, listener: ((event: Event) => void) | { handleEvent(event: Event): void }): void;
}
interface PageCloseEvent extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}
interface PageWebSocketClass {
  new (url: string | URL, protocols?: string | string[]): PageWebSocket;
  readonly prototype: PageWebSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
}
const Page: PageWebSocketClass = WebSocket;

/** Everything that happens to a socket, in words, and the end of it. */
function watch(socket: WebSocket): { readonly said: string[]; readonly over: Promise<CloseEvent> } {
  const said: string[] = [];
  const over = new Promise<CloseEvent>((done) => {
    socket.addEventListener('open', () => said.push(`open ${socket.readyState}`));
    socket.addEventListener('message', ({ data }) => said.push(`message ${data}`));
    socket.addEventListener('error', () => said.push(`error ${socket.readyState}`));
    socket.addEventListener('close', (event) => {
      said.push(`close ${socket.readyState} ${event.code} ${event.wasClean} ${event.reason}`.trimEnd());
      done(event);
    });
  });
  return { said, over };
}

const opened = (socket: WebSocket): Promise<unknown> => new Promise((done) => socket.addEventListener('open', done));

/** A server that accepts; `then` goes on with the connection. */
async function accepting(
  t: Test,
  then: (wire: Wire) => unknown = closeProperly,
  more: readonly string[] = [],
): Promise<{ readonly url: string; readonly heads: string[]; readonly wires: Wire[] }> {
  const server = await serve(t, (wire, head) => {
    wire.write(accept(head, more));
    return then(wire);
  });
  return { url: `ws://${server.at}/`, heads: server.heads, wires: server.wires };
}

const textFrame = (payload: string): Uint8Array => encode({ opcode: 1, payload, mask: false });

t.test('the constants are on the class and on every socket', async (t) => {
  const { url } = await accepting(t);
  const socket = new Page(url);
  for (const place of [Page, socket, Page.prototype]) {
    t.strictSame([place.CONNECTING, place.OPEN, place.CLOSING, place.CLOSED], [0, 1, 2, 3]);
  }
  t.ok(socket instanceof EventTarget);
  t.equal(socket.readyState, 0);
  t.equal(socket.protocol, '');
  t.equal(socket.extensions, '');
  t.equal(socket.bufferedAmount, 0);
  t.equal(socket.binaryType, 'blob');
  socket.binaryType = 'nonsense' as 'blob';
  t.equal(socket.binaryType, 'blob', 'what is none of the enumeration is ignored');
  t.strictSame([socket.onopen, socket.onmessage, socket.onerror, socket.onclose], [null, null, null, null]);
  await new Promise((done) => {
    socket.onclose = done;
    socket.onopen = () => socket.close();
  });
});

t.test('a URL or a subprotocol that is none is a SyntaxError', async (t) => {
  const CASES: readonly (readonly unknown[])[] = [
    ['/relative'],
    [''],
    ['ws://'],
    ['ftp://127.0.0.1/'],
    ['mailto:a@b.example'],
    ['ws://127.0.0.1/#'],
    ['http://127.0.0.1/#part'],
    ['ws://127.0.0.1:1/', ''],
    ['ws://127.0.0.1:1/', 'a b'],
    ['ws://127.0.0.1:1/', 'a,b'],
    ['ws://127.0.0.1:1/', ['a', 'a']],
    ['ws://127.0.0.1:1/', ['a', 'A']],
    ['ws://127.0.0.1:1/', ['ä']],
  ];
  for (const [url, protocols] of CASES) {
    const make = (): WebSocket => new WebSocket(url as string, protocols as string);
    try {
      make().close();
      t.fail(`${url} ${protocols} is taken`);
    } catch (error) {
      t.ok(error instanceof DOMException, `${url} ${protocols}`);
      t.equal((error as DOMException).name, 'SyntaxError');
    }
  }
  t.throws(() => new WebSocket('ws://127.0.0.1:1/', [], { nonsense: 1 } as WebSocketOptions), TypeError);
});

t.test('an http URL means the ws one, and the url attribute says so', async (t) => {
  const { url, heads } = await accepting(t);
  const socket = new WebSocket(new URL(url.replace('ws://', 'http://me:p%40ss@').concat('a b?c|d')));
  const { over } = watch(socket);
  t.equal(socket.url, url.replace('ws://', 'ws://me:p%40ss@').concat('a%20b?c|d'));
  socket.onopen = () => socket.close();
  t.equal((await over).wasClean, true);
  t.match(heads[0], /^GET \/a%20b\?c\|d HTTP/);
  t.equal(fieldOf(heads[0] as string, 'Authorization'), `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  const given = new WebSocket(url.replace('ws://', 'ws://me@'), [], { headers: { authorization: 'Bearer x' } });
  given.onopen = () => given.close();
  t.equal((await watch(given).over).wasClean, true);
  t.equal(fieldOf(heads[1] as string, 'Authorization'), 'Bearer x');
});

t.test('it offers what browsers offer', async (t) => {
  const more = ['Sec-WebSocket-Protocol: b', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10'];
  const { url, heads } = await accepting(t, closeProperly, more);
  const socket = new WebSocket(url, ['a', 'b']);
  await opened(socket);
  const head = heads[0] as string;
  t.equal(fieldOf(head, 'Sec-WebSocket-Extensions'), 'permessage-deflate; client_max_window_bits');
  t.equal(fieldOf(head, 'Sec-WebSocket-Protocol'), 'a, b');
  t.equal(socket.protocol, 'b');
  t.equal(socket.extensions, 'permessage-deflate; client_max_window_bits=10');
  const { over } = watch(socket);
  socket.close();
  t.equal((await over).code, 1005);
});

t.test('events come in the order of the standard', async (t) => {
  const { url } = await accepting(t, (wire) => {
    wire.write(textFrame('one'));
    wire.sendFrame({ opcode: 2, payload: Uint8Array.of(1, 2), mask: false });
    return closeProperly(wire);
  });
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const { said, over } = watch(socket);
  const origins: string[] = [];
  socket.onmessage = ({ data, origin }) => {
    origins.push(origin);
    if (typeof data !== 'string') socket.close(3000, 'gone');
  };
  t.ok((await over) instanceof Event);
  t.strictSame(said, ['open 1', 'message one', 'message [object ArrayBuffer]', 'close 3 3000 true']);
  t.strictSame(origins, [url.slice(0, -1), url.slice(0, -1)]);
});

t.test('binary messages are Blobs or ArrayBuffers, as asked, and own their memory', async (t) => {
  const long = new Uint8Array(70_000).fill(7);
  const { url } = await accepting(t, (wire) => {
    for (let i = 0; i < 2; i++) {
      for (const payload of [Uint8Array.of(1, 2, 3), long]) wire.sendFrame({ opcode: 2, payload, mask: false });
    }
    return closeProperly(wire);
  });
  const socket = new WebSocket(url);
  const got: (Blob | ArrayBuffer)[] = [];
  const { over } = watch(socket);
  socket.onmessage = ({ data }) => {
    got.push(data as Blob);
    if (got.length === 2) socket.binaryType = 'arraybuffer';
    if (got.length === 4) socket.close();
  };
  await over;
  const [small, large, buffer, larger] = got as [Blob, Blob, ArrayBuffer, ArrayBuffer];
  t.ok(small instanceof Blob && large instanceof Blob);
  t.strictSame(new Uint8Array(await small.arrayBuffer()), Uint8Array.of(1, 2, 3));
  t.equal(large.size, 70_000);
  t.ok(buffer instanceof ArrayBuffer && larger instanceof ArrayBuffer);
  t.strictSame(new Uint8Array(buffer), Uint8Array.of(1, 2, 3), 'exactly the message, and no neighbour of it');
  t.equal(Buffer.compare(Buffer.from(larger), long), 0);
});

t.test('before it is open nothing can be sent', async (t) => {
  const { url } = await accepting(t);
  const socket = new WebSocket(url);
  t.throws(() => socket.send('x'), { name: 'InvalidStateError' });
  socket.onopen = () => socket.close();
  await watch(socket).over;
});

t.test('whatever is sent becomes text or bytes', async (t) => {
  const frames: unknown[] = [];
  const { url } = await accepting(t, async (wire) => {
    for (;;) {
      const { opcode, payload, masked } = await wire.readFrame();
      frames.push([opcode, Buffer.from(payload).toString(opcode === 1 ? 'utf8' : 'hex'), masked]);
      if (opcode !== 8) continue;
      wire.sendFrame({ opcode, payload, mask: false });
      return wire.end();
    }
  });
  const socket = new WebSocket(url);
  await opened(socket);
  const bytes = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7);
  socket.send('grüße \ud800');
  for (const odd of [42, null, undefined, { toString: () => 'object' }, ['a', 'b']]) socket.send(odd as string);
  socket.send(bytes);
  socket.send(bytes.subarray(2, 4));
  socket.send(new DataView(bytes.buffer, 1, 2));
  socket.send(bytes.buffer);
  socket.send(new Uint16Array(bytes.buffer, 4, 1));
  t.throws(() => socket.send(new Uint8Array(new SharedArrayBuffer(1))), TypeError);
  bytes.fill(9);
  const { over } = watch(socket);
  socket.close(1000, 'grüße');
  await over;
  const text = ['grüße \ufffd', '42', 'null', 'undefined', 'object', 'a,b'].map((one) => [1, one, true]);
  const binary = ['0001020304050607', '0203', '0102', '0001020304050607', '0405'].map((one) => [2, one, true]);
  const close = [8, Buffer.concat([Uint8Array.of(3, 232), Buffer.from('grüße')]).toString('hex'), true];
  t.strictSame(frames, [...text, ...binary, close]);
});

t.test('Blobs keep their place among other messages, and a close waits for them', async (t) => {
  const frames: string[] = [];
  const { url } = await accepting(t, async (wire) => {
    for (;;) {
      const { opcode, payload } = await wire.readFrame();
      frames.push(`${opcode} ${opcode === 8 ? payload.length : Buffer.from(payload)}`);
      if (opcode !== 8) continue;
      wire.sendFrame({ opcode, payload, mask: false });
      return wire.end();
    }
  });
  const socket = new WebSocket(url);
  await opened(socket);
  const bytes = Buffer.from('bytes');
  socket.send('first');
  socket.send(new Blob(['blob ', 'one']));
  socket.send('second');
  socket.send(bytes);
  const buffer = Uint8Array.from(Buffer.from('buffer')).buffer;
  socket.send(buffer);
  bytes.fill(0);
  new Uint8Array(buffer).fill(0);
  socket.send(new Blob([]));
  socket.send(new Blob(['blob two']));
  t.equal(socket.bufferedAmount, 5 + 8 + 6 + 5 + 6 + 8);
  const { over } = watch(socket);
  socket.close();
  t.equal(socket.readyState, WebSocket.CLOSING);
  socket.send('too late');
  t.match(await over, { code: 1005, wasClean: true });
  t.strictSame(frames, ['1 first', '2 blob one', '1 second', '2 bytes', '2 buffer', '2 ', '2 blob two', '8 0']);
  t.equal(socket.bufferedAmount, 8, 'what was sent after the close stays counted');
});

t.test('a Blob that cannot be read ends the connection', async (t) => {
  class Broken extends Blob {
    override arrayBuffer(): Promise<ArrayBuffer> {
      return Promise.reject(new Error('the file is gone'));
    }
  }
  const { url } = await accepting(t);
  const socket = new WebSocket(url);
  await opened(socket);
  const { said, over } = watch(socket);
  const failed = new Promise<Event>((done) => {
    socket.onerror = done;
  });
  socket.send(new Broken(['abc']));
  socket.send('behind');
  await over;
  t.strictSame(said, ['error 3', 'close 3 1006 false']);
  t.match(String(((await failed) as FailureEvent).error.cause), /the file is gone/);
  t.equal(socket.bufferedAmount, 9);
});

t.test('bufferedAmount counts what has not left, and what never will', async (t) => {
  const { url } = await accepting(t);
  const socket = new WebSocket(url);
  await opened(socket);
  socket.send('x'.repeat(1000));
  socket.send(new Uint8Array(500));
  socket.send('é');
  t.equal(socket.bufferedAmount, 1502);
  await new Promise((done) => setImmediate(done));
  t.equal(socket.bufferedAmount, 0);
  const { over } = watch(socket);
  socket.close();
  socket.send('12345');
  socket.send(new Blob(['678']));
  t.equal(socket.bufferedAmount, 8);
  await over;
  t.equal(socket.bufferedAmount, 8, 'the end does not reset it');
  socket.send(new ArrayBuffer(2));
  t.equal(socket.bufferedAmount, 10);
});

t.test('a script may close with 1000 or 3000 to 4999 and a reason of 123 bytes', async (t) => {
  const { url } = await accepting(t);
  const socket = new WebSocket(url);
  const bad = [0, 1, 999, 1001, 1005, 1006, 1011, 2999, 5000, 70_000, -1, Number.NaN, null as unknown as number];
  for (const code of bad) {
    t.throws(() => socket.close(code), { name: 'InvalidAccessError' }, String(code));
  }
  t.throws(() => socket.close(1000, 'é'.repeat(62)), { name: 'SyntaxError' });
  t.throws(() => socket.close(undefined, 'x'.repeat(124)), { name: 'SyntaxError' });
  t.equal(socket.readyState, WebSocket.CONNECTING, 'none of these closes');
  await opened(socket);
  socket.close(4999, 'x'.repeat(123));
  t.equal((await watch(socket).over).code, 4999);
  socket.close();
  t.throws(() => socket.close(7), { name: 'InvalidAccessError' }, 'the rules hold after the end too');
});

t.test('the close frame holds what the script gave', async (t) => {
  const bodies: string[] = [];
  const { url } = await accepting(t, async (wire) => {
    const { opcode, payload } = await wire.readFrame();
    bodies.push(`${opcode} ${Buffer.from(payload).toString('latin1')}`);
    wire.sendFrame({ opcode: 8, payload, mask: false });
    wire.end();
  });
  const CASES: readonly (readonly [
    args: [code?: number | undefined, reason?: string],
    body: string,
    code: number,
    reason: string,
  ])[] = [
    [[], '8 ', 1005, ''],
    [[undefined], '8 ', 1005, ''],
    [[undefined, 'why'], '8 \u0003\u00e8why', 1000, 'why'],
    [[1000], '8 \u0003\u00e8', 1000, ''],
    [[3001, 'x'], '8 \u000b\u00b9x', 3001, 'x'],
  ];
  for (const [args, body, code, reason] of CASES) {
    const socket = new WebSocket(url);
    await opened(socket);
    const { over } = watch(socket);
    socket.close(...args);
    t.match(await over, { code, reason, wasClean: true });
    t.equal(bodies.at(-1), body);
  }
});

t.test('closed while it connects, it fails', async (t) => {
  const server = await serve(t, () => {});
  const socket = new WebSocket(`ws://${server.at}/`);
  const { said, over } = watch(socket);
  socket.close(1000, 'never mind');
  t.equal(socket.readyState, WebSocket.CLOSING);
  t.strictSame(said, [], 'events come in their own turn');
  await over;
  t.strictSame(said, ['error 3', 'close 3 1006 false']);
  for (const wire of server.wires) await wire.ended();
});

t.test('a dial that fails is an error and then a close', async (t) => {
  const server = await serve(t, (wire) => wire.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
  const socket = new WebSocket(`ws://${server.at}/`);
  const { said, over } = watch(socket);
  const failed = new Promise<FailureEvent>((done) => {
    socket.onerror = (event) => done(event as FailureEvent);
  });
  t.match(await over, { code: 1006, reason: '', wasClean: false });
  t.strictSame(said, ['error 3', 'close 3 1006 false']);
  const event = await failed;
  t.match(event.error, { code: 'WSD_DIAL_STATUS', status: 403 });
  t.match(event.message, /403 Forbidden: no/);
  t.throws(() => new WebSocket('ws://127.0.0.1:1/', [], { timeout: -1 }), TypeError);
  const misused = new WebSocket('ws://127.0.0.1:1/', [], { headers: { Host: 'x' } });
  const wrong = new Promise<Event>((done) => {
    misused.onerror = done;
  });
  t.ok(((await wrong) as FailureEvent).error instanceof TypeError);
});

t.test('a server that speaks none of the subprotocols is failed', async (t) => {
  const { url, wires } = await accepting(t, () => {});
  const socket = new WebSocket(url, 'chat');
  const { said, over } = watch(socket);
  await over;
  t.strictSame(said, ['error 3', 'close 3 1006 false']);
  await wires[0]?.ended();
});

t.test('a broken connection has 1006, an error, and no reason', async (t) => {
  const CASES: readonly (readonly [says: string, then: (wire: Wire) => void, code: string])[] = [
    ['the server ends without a close frame', (wire) => wire.end(), 'WSD_SOCKET_ENDED'],
    ['the server masks', (wire) => wire.write(encode({ opcode: 1, payload: 'x' })), 'WSD_FRAME_MASK_PRESENT'],
    ['text that is not UTF-8', (wire) => wire.write(Uint8Array.of(0x81, 1, 0xff)), 'WSD_MESSAGE_UTF8'],
    ['a close code that is none', (wire) => wire.write(Uint8Array.of(0x88, 2, 3, 0xed)), 'WSD_FRAME_CLOSE_CODE'],
  ];
  for (const [says, then, code] of CASES) {
    const { url } = await accepting(t, (wire) => {
      wire.write(textFrame('x'));
      then(wire);
      wire
        .readUntil((bytes) => bytes.length > 1)
        .then(
          () => wire.end(),
          () => {},
        );
    });
    const socket = new WebSocket(url);
    const { said, over } = watch(socket);
    const errors: unknown[] = [];
    socket.onerror = (event) => errors.push((event as FailureEvent).error);
    await over;
    t.strictSame(said, ['open 1', 'message x', 'error 3', 'close 3 1006 false'], says);
    t.equal(errors.length, 1);
    t.ok(errors[0] instanceof WsdError);
    t.match(errors[0], { code });
  }
});

t.test('a close of the server is told with its code and reason, and can be seen coming', async (t) => {
  let state: (() => number) | undefined;
  const states: unknown[] = [];
  const { url } = await accepting(t, async (wire) => {
    const body = Buffer.concat([Uint8Array.of(3, 0xe9), Buffer.from('bye')]);
    wire.sendFrame({ opcode: 8, payload: body, mask: false });
    const { opcode } = await wire.readFrame();
    states.push(opcode, state?.());
    wire.end();
  });
  const socket = new WebSocket(url);
  state = () => socket.readyState;
  const { said, over } = watch(socket);
  await over;
  t.strictSame(said, ['open 1', 'close 3 1001 true bye']);
  t.strictSame(states, [8, WebSocket.CLOSING]);
});

t.test('messages that come after the script has closed are not told', async (t) => {
  const { url } = await accepting(t, async (wire) => {
    await wire.readFrame();
    wire.write(textFrame('late'));
    wire.sendFrame({ opcode: 8, payload: Uint8Array.of(3, 232), mask: false });
    wire.end();
  });
  const socket = new WebSocket(url);
  const { said, over } = watch(socket);
  socket.onopen = () => socket.close(1000);
  await over;
  t.strictSame(said, ['open 1', 'close 3 1000 true']);
});

t.test('listeners may be objects, once, and removed', async (t) => {
  const { url } = await accepting(t, (wire) => {
    wire.write(textFrame('1'));
    wire.write(textFrame('2'));
    return closeProperly(wire);
  });
  const socket = new WebSocket(url);
  const heard: string[] = [];
  const removed = (): number => heard.push('removed');
  socket.addEventListener('message', { handleEvent: (event: Event) => heard.push(`object ${event.type}`) });
  socket.addEventListener('message', () => heard.push('once'), { once: true });
  socket.addEventListener('message', removed);
  socket.removeEventListener('message', removed);
  const { over } = watch(socket);
  socket.addEventListener('message', ({ data }) => {
    if (data === '2') socket.close();
  });
  await over;
  t.strictSame(heard, ['object message', 'once', 'object message']);
});

t.test('the options of the third argument reach the dial', async (t) => {
  const server = await serve(
    t,
    (wire, head) => {
      wire.write(accept(head));
      return closeProperly(wire);
    },
    { tls: LOCALHOST },
  );
  const options: WebSocketOptions = { tls: { ca: LOCALHOST.cert }, headers: { 'X-A': '1' }, deflate: false };
  const socket = new WebSocket(`https://localhost:${server.port}/`, undefined, options);
  t.equal(socket.url, `wss://localhost:${server.port}/`);
  await opened(socket);
  t.equal(fieldOf(server.heads[0] as string, 'X-A'), '1');
  t.equal(fieldOf(server.heads[0] as string, 'Sec-WebSocket-Extensions'), undefined);
  const { over } = watch(socket);
  socket.close();
  t.equal((await over).constructor.name, 'CloseEvent');
});

t.test('options that the standard decides itself are refused', async (t) => {
  const rows: readonly (readonly [string, unknown])[] = [
    ['lend', true],
    ['text', 'bytes'],
    ['concurrency', 2],
    ['subprotocols', ['a']],
    ['signal', AbortSignal.abort()],
    ['packets', { anonymous: true }],
  ];
  for (const [name, value] of rows) {
    const options = { [name]: value } as WebSocketOptions;
    const thrown = { name: 'TypeError', message: new RegExp(`^WebSocket: ${name}: `) };
    t.throws(() => new WebSocket('ws://127.0.0.1:1/', [], options), thrown);
  }
  const several = { lend: true, text: 'bytes' } as WebSocketOptions;
  t.throws(() => new WebSocket('ws://127.0.0.1:1/', [], several), { message: /text, lend/ });
});
