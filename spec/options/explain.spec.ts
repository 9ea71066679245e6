// What a wrong option is told: the option that was probably meant, or what is expected there, in words that have nothing to do with the
// library that checks them. What was given is not repeated.
import t from 'tap';
import { connect, createDispatch, createNode, createServer, describeOptions } from '../../lib/index.js';
import { type Entry, foreignNames } from '../../lib/options/familiar.js';

const thrown = async (call: () => unknown): Promise<string> => {
  try {
    await call();
  } catch (error) {
    return error instanceof TypeError ? error.message : `no TypeError: ${String(error)}`;
  }
  return 'nothing thrown';
};

const given = (entry: Entry, options: unknown): Promise<string> =>
  thrown(() => {
    switch (entry) {
      case 'createServer':
        return createServer(options as object);
      case 'connect':
        return connect('ws://127.0.0.1:1/', options as object);
      case 'createDispatch':
        return createDispatch(options as never);
      case 'createNode':
        return createNode(options as never);
    }
  });

t.test('an option that is not known is told with the one that was meant', async (t) => {
  const rows: readonly [Entry, unknown, string][] = [
    ['createServer', { maxMesage: 1 }, 'maxMesage is no option: did you mean maxMessage?'],
    ['createServer', { maxPayload: 1 }, 'maxPayload is no option: did you mean maxMessage?'],
    ['createServer', { perMessageDeflate: true }, 'perMessageDeflate is no option: did you mean deflate?'],
    ['createServer', { verifyClient: () => true }, 'verifyClient is no option: did you mean authorize?'],
    ['createServer', { handleProtocols: () => '' }, 'handleProtocols is no option: did you mean subprotocols?'],
    [
      'createServer',
      { port: 1, host: 'x' },
      'port is no option: give it to listen(); host is no option: give it to listen()',
    ],
    ['createServer', { server: {} }, 'server is no option: call attach(server)'],
    ['createServer', { noServer: true }, 'noServer is no option: call upgrade(request, socket, head) for each upgrade'],
    ['createServer', { clientTracking: true }, 'clientTracking is no option: server.connections has them always'],
    ['createServer', { frobnicate: 1 }, 'frobnicate is no option'],
    ['createServer', { constructor: 1 }, 'constructor is no option'],
    ['createServer', { '\u001b[31m': 1 }, '"\\u001b[31m" is no option'],
    ['createServer', { deflate: { levle: 1 } }, 'deflate.levle is no option: did you mean deflate.level?'],
    [
      'createServer',
      { deflate: { serverMaxWindowBits: 9 } },
      'deflate.serverMaxWindowBits is no option: did you mean deflate.serverBits?',
    ],
    ['createServer', { packets: { resumeTTL: 1 } }, 'packets.resumeTTL is no option: did you mean packets.resumeTtl?'],
    ['connect', { followRedirects: true }, 'followRedirects is no option: did you mean redirects?'],
    ['connect', { reconnect: true }, 'reconnect is no option: did you mean packets.reconnect?'],
    ['connect', { rejectUnauthorized: false }, 'rejectUnauthorized is no option: did you mean tls.rejectUnauthorized?'],
    [
      'connect',
      { packets: { anonymous: true, reconnect: { atempts: 5 } } },
      'packets.reconnect.atempts is no option: did you mean packets.reconnect.attempts?',
    ],
    ['createNode', { credential: '{}', reconect: false }, 'reconect is no option: did you mean reconnect?'],
  ];
  for (const [entry, options, message] of rows) t.equal(await given(entry, options), `${entry}: ${message}`);
});

t.test('a wrong value is told by what is expected there, and is not repeated', async (t) => {
  const rows: readonly [Entry, unknown, string][] = [
    ['createServer', { deflate: 'hunter2' }, 'deflate: must be true, false or an object of options'],
    ['createServer', { hosts: 5 }, "hosts: must be 'any', 'loopback' or a list of strings"],
    ['createServer', { hosts: ['a', 5] }, "hosts: must be 'any', 'loopback' or a list of strings"],
    ['createServer', { path: {} }, 'path: must be a string, a list of strings or a function'],
    ['createServer', { maxMessage: '16m' }, 'maxMessage: must be a whole number from 1 to 2147483647'],
    ['createServer', { maxMessage: 1.5 }, 'maxMessage: must be a whole number from 1 to 2147483647'],
    ['createServer', { maxFragments: 0 }, 'maxFragments: must be a whole number of at least 1'],
    ['createServer', { pingInterval: -1 }, 'pingInterval: must be a number from 0 to 2147483647'],
    ['createServer', { policy: 'hunter2' }, "policy: must be 'close', 'drop-newest' or 'drop-oldest'"],
    ['createServer', { rate: 5 }, 'rate: must be {perSecond, burst}'],
    [
      'createServer',
      { rate: { perSecond: 0 } },
      'rate.perSecond: must be a number above 0; rate.burst: must be a number of at least 1',
    ],
    ['createServer', { authorize: 5 }, 'authorize: must be a function'],
    ['createServer', { packets: true }, 'packets: must be an object of options'],
    [
      'createServer',
      { packets: { pins: ['00', 5] } },
      'packets.pins.1: must be a SHA-256 in hexadecimal, or {sha256, publicKey}',
    ],
    ['createServer', null, 'the options must be an object'],
    ['createServer', 'hunter2', 'the options must be an object'],
    ['connect', { headers: { a: 5 } }, 'headers: must be an object of strings, or a list of [name, value]'],
    ['connect', { tls: 5 }, 'tls: must be an object'],
    ['connect', { signal: 5 }, 'signal: must be an AbortSignal'],
    [
      'connect',
      { packets: { anonymous: true, reconnect: 'hunter2' } },
      'packets.reconnect: must be false or {min, max, attempts}',
    ],
    ['createNode', { credential: '{}', url: 5 }, 'url: must be a string or a URL'],
    ['createNode', { credential: '{}', scopes: [5] }, 'scopes.0: must be a scope: what defineScope returns'],
  ];
  for (const [entry, options, message] of rows) t.equal(await given(entry, options), `${entry}: ${message}`);
});

t.test('no option of any kind is told in the words of the library that checks it', async (t) => {
  const entries = {
    createServer: 'server',
    connect: 'client',
    createDispatch: 'dispatch',
    createNode: 'node',
  } as const;
  for (const [entry, of] of Object.entries(entries)) {
    for (const { name } of describeOptions(of)) {
      // Some take any object.
      for (const wrong of [Symbol('wrong'), { wrong: 1 }, [Symbol('wrong')]]) {
        const message = await given(entry as Entry, { [name]: wrong });
        t.notMatch(
          message,
          /Invalid|[Ee]xpected|received|Unrecognized|Too (?:big|small)|undefined/,
          `${entry} ${name}`,
        );
      }
    }
  }
});

t.test('where the options of other libraries lead, there is an option', async (t) => {
  const known = (of: Parameters<typeof describeOptions>[0]): string[] => describeOptions(of).map(({ name }) => name);
  const rooms = {
    createServer: [...known('server'), ...known('serverPackets').map((name) => `packets.${name}`)],
    connect: [...known('client'), ...known('clientPackets').map((name) => `packets.${name}`)],
    deflate: known('deflate'),
  };
  for (const [room, options] of Object.entries(rooms)) {
    const names = foreignNames(room as keyof typeof rooms);
    t.ok(names.length > 5, `${room} has some`);
    for (const [name, option] of names) {
      t.notOk(options.includes(name), `${name} is not ours`);
      // What tls takes is the runtime's.
      if (option !== undefined) t.ok(options.includes(option) || option.startsWith('tls.'), `${name}: ${option}`);
    }
  }
});
