// Python's websockets: its client against the real executable, its server against our client. Needs the Debian package
// python3-websockets, or any later version of the library.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import t from 'tap';
import { need } from '../../fixtures/rig/need.js';
import { connect } from '../../lib/index.js';
import { within } from '../hostile/stage.js';
import { runProgram, startDaemon } from './daemon.js';

const CLIENT = `
import asyncio, json, sys, websockets

async def talk(url, compression):
    seen = {}
    async with websockets.connect(url, max_size=None, compression=compression, subprotocols=["one", "two"]) as socket:
        names = [one.name for one in getattr(socket, "extensions", None) or getattr(socket, "protocol", socket).extensions]
        seen["extensions"] = names
        seen["subprotocol"] = socket.subprotocol
        echoed = []
        for size in [0, 1, 125, 126, 65535, 65536, 1 << 20]:
            text = ("h\\u00e9 \\u20ac " * (size // 5 + 1))[:size]
            for message in (text, text.encode()):
                await socket.send(message)
                echoed.append(await socket.recv() == message)
        seen["echoed"] = echoed
        async def parts():
            for part in ["in ", "many ", "", "parts"]:
                yield part
        await socket.send(parts())
        seen["parts"] = await socket.recv()
        await asyncio.wait_for(await socket.ping(b"are you there?"), 5)
        seen["pinged"] = True
        await socket.close(4000, "g\\u00f6\\u00f6dbye")
        seen["code"] = socket.close_code
        seen["reason"] = socket.close_reason
    return seen

async def main():
    print(json.dumps([await talk(sys.argv[1], compression) for compression in (None, "deflate")]))

asyncio.run(main())
`;

const SERVER = `
import asyncio, websockets

async def echo(socket):
    async for message in socket:
        if message == "close me":
            await socket.close(4001, "as you like")
        else:
            await socket.send(message)

async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        sockets = getattr(server, "sockets", None) or server.server.sockets
        print(next(iter(sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, input)

asyncio.run(main())
`;

t.test('the client of Python’s websockets speaks with the executable', async (t) => {
  const python = need(t, 'python3-websockets');
  if (python === undefined) return;
  const daemon = await startDaemon(t, '--subprotocol', 'two', '--quiet');
  const { code, out, err } = await runProgram(python, ['-c', CLIENT, daemon.url]);
  t.equal(code, 0, err);
  const rest = {
    subprotocol: 'two',
    echoed: Array.from({ length: 14 }, () => true),
    parts: 'in many parts',
    pinged: true,
    code: 4000,
    // The code comes back and the reason does not: what a peer said is not said again.
    reason: '',
  };
  t.same(JSON.parse(out || 'null'), [
    { extensions: [], ...rest },
    { extensions: ['permessage-deflate'], ...rest },
  ]);
});

t.test('our client speaks with the server of Python’s websockets', async (t) => {
  const python = need(t, 'python3-websockets');
  if (python === undefined) return;
  const child = spawn(python, ['-c', SERVER], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.teardown(() => child.kill('SIGKILL'));
  const line = await within(
    createInterface({ input: child.stdout })[Symbol.asyncIterator]().next(),
    'the port',
    10_000,
  );
  const url = `ws://127.0.0.1:${String(line.value)}`;
  for (const deflate of [false, true, { contextTakeover: true, threshold: 0, clientBits: 12 }]) {
    const connection = await connect(url, { deflate });
    const name = JSON.stringify(deflate);
    t.match(connection.extensions, deflate === false ? /^$/ : /^permessage-deflate/, name);
    const incoming = connection[Symbol.asyncIterator]();
    for (const size of [0, 126, 65_536, 1 << 20]) {
      const text = 'é'.repeat(size);
      connection.send(text);
      t.ok((await within(incoming.next(), 'the text')).value === text, `${name}: ${size} characters`);
      connection.send(Buffer.from(text));
      const { value } = await within(incoming.next(), 'the bytes');
      t.ok(Buffer.from(value as Uint8Array).equals(Buffer.from(text)), `${name}: the same as bytes`);
    }
    t.ok((await connection.ping('are you there?')) >= 0, `${name}: a ping`);
    connection.send('close me');
    const outcome = await within(connection.closed, 'the close');
    t.match(outcome, { code: 4001, reason: 'as you like', clean: true, initiator: 'remote' }, name);
  }
  child.stdin.end('\n');
});
