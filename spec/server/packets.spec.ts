// The packet sessions of a server, looked at from the wire: what ends a connection and with which close code, who gets in, what is listed, and what
// is left when the server goes. lib/packet/PROTOCOL.md sections 1, 5.5, 6 and 7.

import { spawn } from 'node:child_process';
import t from 'tap';
import { RAW, type RawPacket } from '../../fixtures/rig/raw-peer.js';
import { connect as dial, encode, upgrade, upgradeRequest } from '../../fixtures/rig/wire.js';
import { createServer, type ServerPacketOptions, type Session } from '../../lib/index.js';
import { closeOf, until, within } from '../hostile/stage.js';
import { ANYBODY, auth, certificate, echo, join, NEVER, open, RawClient, roundTrip, shown } from '../link/ends.js';
import { Line } from '../link/line.js';
import { isEmpty } from './scene.js';

const HEADERS = { 'Sec-WebSocket-Protocol': 'v0.packet.wsd' };
const octets = (...values: number[]): Uint8Array => Uint8Array.from(values);

t.test('what is no packet ends the connection before a session sees it', async (test) => {
  const { port, server } = await open(test);
  for (const stage of ['before the handshake', 'in a session'] as const) {
    const make: typeof RawClient.open = (...words) =>
      stage === 'in a session' ? RawClient.open(...words) : RawClient.dial(...words);
    const text = await make(port);
    text.wire.sendFrame({ opcode: 1, payload: 'hello' });
    test.same(await text.closed(), { code: 1003, reason: 'packets are binary' }, `${stage}: text`);
    const long = await make(port);
    long.say(new Uint8Array(4_172));
    test.equal((await long.closed()).code, 1009, `${stage}: longer than the longest AUTH`);
    const pieces = await make(port);
    for (let i = 0; i < 5; i++)
      pieces.wire.sendFrame({ opcode: i === 0 ? 2 : 0, fin: false, payload: new Uint8Array(1_000) });
    test.equal((await pieces.closed()).code, 1009, `${stage}: the same in WebSocket fragments`);
    for (const one of [text, long, pieces]) one.wire.destroy();
  }
  test.ok(await until(() => server.sessions.every(({ state }) => state === 'detached')));
  test.equal(server.sessions.length, 3, 'sessions stay resumable');
});

t.test('deflate is never agreed beside packets, only the offered subprotocol is', async (test) => {
  const { port } = await open(test, {}, () => {}, { deflate: true, subprotocols: ['chat'] });
  const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate' };
  const packets = await upgrade(port, { headers: { ...HEADERS, ...offer } });
  test.notMatch(packets.head, /sec-websocket-extensions/i);
  test.match(packets.head, /sec-websocket-protocol: v0\.packet\.wsd/i);
  const plain = await upgrade(port, { headers: { 'Sec-WebSocket-Protocol': 'chat', ...offer } });
  test.match(plain.head, /sec-websocket-extensions: permessage-deflate/i, 'others have it');
  plain.destroy();
  packets.destroy();
});

t.test('packets that come in one segment with the request are heard', async (test) => {
  const { port } = await open(test);
  const wire = await dial(port);
  wire.write(
    Buffer.concat([Buffer.from(upgradeRequest(port, { headers: HEADERS })), encode({ opcode: 2, payload: auth() })]),
  );
  test.match(await wire.readHead(), /^HTTP\/1\.1 101 /);
  const frame = await wire.readFrame();
  test.equal((frame.payload[0] ?? 0) & 15, 2, 'AUTH of the server');
  wire.destroy();
});

t.test('a first packet of the other mode is 1.0', async (test) => {
  const required = await open(test);
  const clear = await RawClient.dial(required.port);
  clear.say(clear.packet({ flags: RAW.reliable, data: octets(1, 2, 3) }));
  test.same(await clear.closed(), { code: 4100, reason: 'CONNECTION' }, 'clear data where keys are required');
  const none = await open(test, { mode: 'none' });
  const secret = await RawClient.dial(none.port);
  secret.say(auth());
  test.same(await secret.closed(), { code: 4100, reason: 'CONNECTION' }, 'AUTH where there are no keys');
  await test.rejects(join(test, none.url), { code: 'WSD_DIAL_SESSION', message: /1\.0 CONNECTION/ });
  const client = await join(test, required.url, { mode: 'none', reconnect: false });
  client.send('x');
  test.match(await within(client.closed, 'a client without keys'), { code: '1.0 CONNECTION', by: 'remote' });
  test.ok(await until(() => required.refused.length === 2));
  test.match(required.refused[0], { code: '1.0 CONNECTION', theirs: false, remoteAddress: '127.0.0.1' });
  for (const one of [clear, secret]) one.wire.destroy();
});

t.test('a handshake that is not finished in time is 1.0', async (test) => {
  const { port, refused, server } = await open(test, { handshakeTimeout: 60 });
  const mute = await RawClient.dial(port);
  const half = await RawClient.dial(port);
  half.say(auth());
  for (const one of [mute, half]) {
    test.same(await one.closed(), { code: 4100, reason: 'CONNECTION' });
    one.wire.destroy();
  }
  test.ok(await until(() => refused.length === 2), 'both are reported');
  test.same(server.sessions, []);
  test.ok(await isEmpty(server));
});

const SEALED = RAW.encrypted;
const WRONG: Readonly<Record<string, readonly [RawPacket | Uint8Array, code: number, reason: string]>> = {
  'too short': [octets(0, 0, 0), 4300, 'PACKET'],
  'another version': [octets(0x10, 0, 0, 2), 4301, 'VERSION'],
  'an unknown type': [octets(5, SEALED, 0, 2, 0, 0), 4302, 'PACKET TYPE'],
  'a reserved flag': [{ flags: SEALED | 1, data: octets(1) }, 4303, 'FLAGS'],
  'in clear': [{ flags: 0, data: octets(1) }, 4303, 'FLAGS'],
  'a gap in the numbers': [{ flags: SEALED, number: 3, data: octets(1) }, 4304, 'SEQUENCE ID'],
  'a number far ahead': [{ flags: SEALED, number: 70_000, data: octets(1) }, 4307, 'INIT VECTOR'],
  'a fragment id that is none': [
    { flags: SEALED | RAW.frag, fragment: [2, 2], data: new Uint8Array(972) },
    4305,
    'FRAGMENT ID',
  ],
  'a fragment of one': [{ flags: SEALED | RAW.frag, fragment: [0, 1], data: octets(1) }, 4306, 'FRAGMENT NUMBER'],
  'a wrong checksum': [{ flags: SEALED | RAW.checksum, checksum: 1, data: octets(1) }, 4309, 'CHECKSUM'],
  'what cannot be inflated': [{ flags: SEALED | RAW.compressed, data: octets(255, 255, 255) }, 4308, 'COMPRESSION'],
  'an ACK of a number never sent': [{ type: 1, flags: SEALED, tsf: [0, 200, 0, 0] }, 4304, 'SEQUENCE ID'],
  'an ERROR of the client': [{ type: 4, flags: SEALED, tsf: [0x22] }, 4202, 'CLIENT DISCONNECT'],
};

t.test('every fault of a session closes the connection with 4000 + 100 major + minor and the name', async (test) => {
  const { port, sessions } = await open(test);
  for (const [name, [what, code, reason]] of Object.entries(WRONG)) {
    const raw = await RawClient.open(port);
    raw.say(what instanceof Uint8Array ? what : raw.packet(what));
    test.same(await raw.closed(), { code, reason }, name);
    test.equal(await raw.wire.ended(), 'end');
    raw.wire.destroy();
    const major = Math.floor((code - 4000) / 100);
    const outcome = await within((sessions.at(-1) as Session).closed, name);
    test.match(outcome, { code: `${major}.${code % 100} ${reason}`, by: major === 2 ? 'remote' : 'local' });
  }
  const raw = await RawClient.open(port);
  const packet = raw.packet({ flags: SEALED, data: octets(1, 2, 3) });
  packet[packet.length - 1] = (packet.at(-1) ?? 0) ^ 1;
  raw.say(packet);
  test.same(await raw.closed(), { code: 4307, reason: 'INIT VECTOR' }, 'a tag that does not fit');
  raw.wire.destroy();
});

t.test('a session that comes back on a second connection closes the first with 4002', async (test) => {
  const { port, server, url, sessions } = await open(test, {}, echo);
  const line = await Line.to(test, port);
  const close = Buffer.concat([octets(0x88, 12, 4002 >> 8, 4002 & 255), Buffer.from('taken over')]);
  let told = '';
  const client = await join(test, url.replace(String(port), String(line.port)));
  client.on('open', (how) => {
    told = how;
  });
  test.ok(await roundTrip(client));
  // The server does not hear of its end.
  line.abandon();
  test.ok(await until(() => told === 'resumed'), 'resumed while the first one is open');
  test.ok(await roundTrip(client, 'on the second'));
  test.ok(await until(() => Buffer.concat(line.unheard).includes(close)), 'the first one was told: taken over');
  test.equal(server.packetCounters()?.takenOver, 1);
  test.equal(sessions.length, 1);
});

t.test('a session is listed while it is detached, and gone when nobody came back in time', async (test) => {
  const { port, server, url, sessions } = await open(test, { resumeTtl: 150 });
  const line = await Line.to(test, port);
  const client = await join(test, url.replace(String(port), String(line.port)), {
    anonymous: true,
    reconnect: { min: 60_000, max: 60_000 },
  });
  line.cut();
  const [session] = sessions;
  if (session === undefined) throw new Error('no session');
  test.ok(await until(() => session.state === 'detached'));
  test.same(server.sessions, [session], 'it is listed');
  const waiting = session.send('waits for nobody');
  test.equal(waiting.status, 'ok');
  test.same(await within(session.closed, 'it expires'), {
    code: '2.0 DISCONNECT',
    by: 'expiry',
    detail: 'detached for too long',
  });
  test.equal(await waiting, 'unsent');
  test.same(server.sessions, []);
  test.equal(server.packetCounters()?.expired, 1);
  await client.close();
});

t.test('no room is 1.1, before anything is computed, and there is room again when somebody leaves', async (test) => {
  for (const mode of ['required', 'none'] as const) {
    const { url, port, refused, server } = await open(test, { maxSessions: 1, mode }, echo);
    const how = mode === 'none' ? { mode, reconnect: false as const } : ANYBODY;
    const first = await join(test, url, how);
    if (mode === 'none') test.ok(await roundTrip(first));
    if (mode === 'required')
      await test.rejects(join(test, url), { code: 'WSD_DIAL_SESSION', message: /1\.1 NO SPACE/ });
    const raw = await RawClient.dial(port);
    raw.say(auth());
    test.same(await raw.closed(), { code: 4101, reason: 'NO SPACE' }, mode);
    raw.wire.destroy();
    test.match(refused.at(-1), { code: '1.1 NO SPACE', theirs: false });
    test.ok(await roundTrip(first), 'who is in is not disturbed');
    await first.close();
    test.ok(await until(() => server.sessions.length === 0));
    const second = await join(test, url, how);
    test.ok(await roundTrip(second), 'the next one gets in');
  }
});

t.test('a certificate of the client: none, optional, required; by pin and by anchor', async (test) => {
  const ca = await certificate(test, { subject: 'ca', names: [], ca: true });
  const issuer = { certificate: ca.certificatePem, key: ca.keyPem };
  const signed = await certificate(test, { subject: 'alice', names: ['alice'], issuer, usage: ['client'] });
  const alone = await certificate(test, { subject: 'bob', names: ['bob'], type: 'ed25519' });
  const forServers = await certificate(test, { subject: 'eve', names: ['eve'], issuer, usage: ['server'] });
  const nobody = {};
  const asks = (
    clientCertificate: 'none' | 'optional' | 'required',
    pins: string[] = [alone.info.fingerprint],
  ): ServerPacketOptions => ({
    clientCertificate,
    ...(clientCertificate === 'none' ? {} : { pins, anchors: [ca.certificatePem] }),
  });
  const rows: readonly (readonly [string, ServerPacketOptions, object, string | RegExp])[] = [
    ['none asked, none shown', asks('none'), nobody, 'anonymous'],
    ['none asked, one shown', asks('none'), shown(alone), /1\.2 CERTIFICATE INVALID/],
    ['optional, none shown', asks('optional'), nobody, 'anonymous'],
    ['optional, pinned', asks('optional'), shown(alone), alone.info.fingerprint],
    ['optional, not known', asks('optional', [NEVER]), shown(alone), /1\.2/],
    ['required, none shown', asks('required'), nobody, /1\.2/],
    ['required, pinned', asks('required'), shown(alone), alone.info.fingerprint],
    ['required, signed', asks('required'), shown(signed), signed.info.fingerprint],
    ['required, signed for another use', asks('required'), shown(forServers), /1\.2/],
  ];
  for (const [name, packets, own, wanted] of rows) {
    const { url, sessions, refused } = await open(test, packets);
    const client = join(test, url, { ...ANYBODY, ...own });
    if (wanted instanceof RegExp) {
      await test.rejects(client, { code: 'WSD_DIAL_SESSION', message: wanted }, name);
      test.ok(await until(() => refused.length === 1));
      test.equal(refused[0]?.code, '1.2 CERTIFICATE INVALID');
      test.same(sessions, []);
    } else {
      await client;
      test.equal(sessions[0]?.identity, wanted, name);
      test.equal(sessions[0]?.peer?.fingerprint, wanted === 'anonymous' ? undefined : wanted);
    }
  }
  test.throws(() => createServer({ packets: { clientCertificate: 'required' } }), TypeError, 'whom to trust is said');
  test.throws(() => createServer({ packets: { certificate: alone.certificatePem } }), TypeError, 'the key is missing');
  const idle: readonly (readonly [what: string, packets: ServerPacketOptions, message: RegExp])[] = [
    ['pins that nobody is asked for', { pins: [NEVER] }, /clientCertificate must be/],
    [
      'anchors that nobody is asked for',
      { anchors: [ca.certificatePem], clientCertificate: 'none' },
      /clientCertificate/,
    ],
    ['a certificate in clear', { mode: 'none', ...shown(alone) }, /mode 'none' .*: certificate would do nothing/],
    ['clients of known keys in clear', { mode: 'none', pins: [NEVER], clientCertificate: 'required' }, /: pins would/],
    ['a question in clear', { mode: 'none', clientCertificate: 'optional' }, /: clientCertificate would/],
    ['a context in clear', { mode: 'none', context: 'a' }, /: context would/],
  ];
  for (const [what, packets, message] of idle) {
    test.throws(() => createServer({ packets }), { name: 'TypeError', message }, what);
  }
});

t.test('who is known and not wanted is sent away before the first message', async (test) => {
  const alice = await certificate(test, { subject: 'alice', names: ['alice'], usage: ['client'] });
  const mallory = await certificate(test, { subject: 'mallory', names: ['mallory'], usage: ['client'] });
  const pins = [alice.info.fingerprint, mallory.info.fingerprint];
  const heard: string[] = [];
  const { url } = await open(test, { clientCertificate: 'required', pins }, (session) => {
    session.on('message', (data) => heard.push(Buffer.from(data).toString()));
    session.on('open', () => session.peer?.subject === 'CN=alice' || session.close('not wanted'));
  });
  const wanted = await join(test, url, { ...ANYBODY, ...shown(alice) });
  test.equal(await within(wanted.send('from alice'), 'its ACK'), 'acknowledged');
  const other = await join(test, url, { ...ANYBODY, ...shown(mallory) });
  void other.send('from mallory');
  test.match(await within(other.closed, 'the end'), { code: '2.0 DISCONNECT', by: 'remote' });
  test.same(heard, ['from alice']);
});

t.test('who leaves says so: 4202 from a client, 4200 from a server', async (test) => {
  const { url, server, sessions, port } = await open(test);
  await (await join(test, url)).close();
  test.ok(await until(() => server.counters()['closed:4202'] === 1), 'session.close of a client');
  const raw = await RawClient.open(port);
  test.ok(await until(() => sessions[1]?.state === 'open'));
  const ended = sessions[1]?.close('kicked');
  const error = await raw.hear();
  test.same([error.type, error.tsf[0]], [4, 0x20], 'an ERROR 2.0 first');
  test.notMatch(Buffer.from(error.data).toString(), /kicked/, 'our reason stays with us');
  test.same(await raw.closed(), { code: 4200, reason: 'DISCONNECT' }, 'session.close of a server');
  test.same(await ended, { code: '2.0 DISCONNECT', by: 'local', detail: 'kicked' });
  raw.wire.destroy();
});

t.test(
  'a server that goes says 2.1, waits for acknowledgements, not longer than 2 s, and closes with 1001',
  async (test) => {
    const { port, server, sessions } = await open(test);
    const raws = [await RawClient.open(port), await RawClient.open(port), await RawClient.open(port)];
    const [idle, good, mute] = raws as [RawClient, RawClient, RawClient];
    test.ok(await until(() => sessions.length === 3));
    const sent = [sessions[1]?.send('to the good one'), sessions[2]?.send('to the mute one')];
    const handshaking = await RawClient.dial(port);
    const began = performance.now();
    const closing = server.close({ drain: 5_000 });
    test.equal((await handshaking.closed()).code, 1001, 'a handshake comes to nothing');
    for (const raw of raws) {
      let packet = await raw.hear();
      if (packet.type === 0) packet = await raw.hear();
      test.same([packet.type, packet.tsf[0]], [4, 0x21], 'SERVER DISCONNECT');
    }
    test.same(await idle.closed(), { code: 1001, reason: 'SERVER DISCONNECT' }, 'at once where nothing is owed');
    test.ok(performance.now() - began < 1_000);
    good.say(good.packet({ type: 1, flags: SEALED, tsf: [0, 3, 0, 0] }));
    test.equal((await good.closed()).code, 1001, 'with the acknowledgement');
    test.ok(performance.now() - began < 1_000);
    test.equal((await mute.closed()).code, 1001, 'without it');
    const waited = performance.now() - began;
    test.ok(waited > 1_800 && waited < 3_500, `after ${waited.toFixed(0)} ms`);
    test.same(await within(closing, 'the server'), { clean: 4, cut: 0 });
    test.same(await Promise.all(sent.map((one) => Promise.resolve(one))), ['acknowledged', 'undelivered']);
    test.same(server.sessions, []);
    for (const raw of [...raws, handshaking]) raw.wire.destroy();
  },
);

t.test('server.close with live, detached and silent sessions leaves nothing behind', async (test) => {
  const { port, url, server, sessions } = await open(test, {}, echo);
  const line = await Line.to(test, port);
  const lively = await join(test, url);
  const away = await join(test, url.replace(String(port), String(line.port)), { anonymous: true, reconnect: false });
  const dead = await RawClient.open(port);
  dead.wire.socket.pause();
  line.cut();
  await within(away.closed, 'the one that gave up');
  test.ok(await until(() => sessions[1]?.state === 'detached' && sessions.length === 3));
  const pending = lively.send('the last word');
  const counts = await within(server.close({ drain: 400 }), 'the server closes');
  test.equal(counts.clean + counts.cut, 2, `two connections: ${JSON.stringify(counts)}`);
  test.match(await within(lively.closed, 'the client'), { code: '2.1 SERVER DISCONNECT', by: 'remote' });
  test.ok(['acknowledged', 'undelivered'].includes(await pending), 'a fate');
  for (const session of sessions) test.equal(session.state, 'closed');
  test.same(server.sessions, []);
  test.same(Object.values(server.counts()).filter(Boolean), [], JSON.stringify(server.counts()));
  dead.wire.destroy();
  await test.rejects(join(test, url), { code: 'WSD_DIAL_CONNECT' });
});

t.test('nothing of a session keeps a process alive', async (test) => {
  const door = new URL('../../lib/index.js', import.meta.url).href;
  const code = `
    import { connect, createServer } from ${JSON.stringify(door)};
    const server = createServer({ packets: {} });
    server.on('session', (session) => session.on('message', (data) => session.send(data)));
    const { url } = await server.listen();
    const client = await connect(url, { packets: { anonymous: true } });
    const echoed = new Promise((done) => client.on('message', done));
    console.log(await client.send('x'));
    await echoed;
    if (process.argv[1] === 'client') await client.close();
    console.log(JSON.stringify(await server.close({ drain: 1000 })));`;
  for (const who of ['client', 'server']) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code, who], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    test.teardown(() => child.kill());
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += String(chunk);
    });
    const status = await within(
      new Promise((done) => child.on('close', done)),
      `${who} first: the process ends`,
      8_000,
    );
    test.equal(status, 0);
    test.match(out, /^acknowledged\n\{"clean":[01],"cut":0\}\n$/, `${who} first`);
  }
});

t.test('the close of a connection under a session never shows what broke', async (test) => {
  const { port } = await open(test, {}, (session) => {
    session.on('message', () => {
      throw new Error('the password is hunter2');
    });
  });
  const raw = await RawClient.open(port);
  raw.say(raw.packet({ flags: SEALED | RAW.reliable, data: octets(1) }));
  const frames: string[] = [];
  for (;;) {
    const frame = await raw.wire.readFrame();
    if (frame.opcode === 8) {
      test.same(closeOf(frame.payload), { code: 4200, reason: 'DISCONNECT' });
      break;
    }
    raw.carrier.sent.push(Uint8Array.from(frame.payload));
    frames.push(...raw.heard().map(({ data }) => Buffer.from(data).toString()));
  }
  test.notMatch(frames.join(), /hunter2/);
  raw.wire.destroy();
});
