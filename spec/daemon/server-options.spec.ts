import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Config } from '../../lib/daemon/config-types.js';
import { openHome } from '../../lib/daemon/home.js';
import { pinOf, serverOptions } from '../../lib/daemon/server-options.js';
import { connect, createServer, makeCertificate, type ServerOptions } from '../../lib/index.js';

const NOTHING: Config = { scopes: [] };

t.test('packet sessions of the daemon have its own certificate, or the one of the configuration', async (t) => {
  const folder = t.testdir();
  const now = Date.now();
  const home = await openHome(join(folder, 'wsd'), { make: true, wall: now });
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const ca = makeCertificate({ now, subject: 'a CA', ca: true });
  const issuer = { certificate: ca.certificatePem, key: ca.keyPem };
  const server = makeCertificate({ now, subject: 'dispatch.example' });
  const client = makeCertificate({ now, subject: 'a service', usage: ['client'], issuer });
  const stranger = makeCertificate({ now, subject: 'a stranger', usage: ['client'] });
  const sessions = {
    certificate: await file('cert.pem', server.certificatePem),
    key: await file('key.pem', server.keyPem),
  };
  const anchors = [await file('ca.pem', ca.certificatePem)];

  t.equal(await pinOf(home, NOTHING), home.session.pin);
  t.equal(await pinOf(home, { ...NOTHING, sessions: false }), undefined, 'no sessions, no pin');
  t.equal(await pinOf(home, { ...NOTHING, sessions }), server.info.fingerprint);
  t.match(await serverOptions(home, NOTHING), { packets: { certificate: home.session.certificate } });
  t.notOk('packets' in (await serverOptions(home, { ...NOTHING, sessions: false })));

  const serve = async (options: ServerOptions): Promise<string> => {
    const serving = createServer(options);
    t.teardown(() => serving.close({ drain: 50 }));
    serving.on('session', (session) => void session.on('message', (data) => void session.send(data)));
    return (await serving.listen()).url;
  };
  const pins = [server.info.fingerprint];
  const of = ({ certificatePem, keyPem }: typeof client): { certificate: string; key: string } => ({
    certificate: certificatePem,
    key: keyPem,
  });
  const open = await serve(await serverOptions(home, { ...NOTHING, sessions }));
  const session = await connect(open, { packets: { pins } });
  t.equal(session.peer?.subject, 'CN=dispatch.example');
  await session.close();
  await t.rejects(connect(open, { packets: { pins: [home.session.pin] } }), { code: 'WSD_DIAL_SESSION' });

  const closed = await serve(
    await serverOptions(home, { ...NOTHING, sessions: { ...sessions, anchors, clientCertificate: 'required' } }),
  );
  const known = await connect(closed, { packets: { pins, ...of(client) } });
  t.equal(await known.send('hello'), 'acknowledged');
  await known.close();
  await t.rejects(connect(closed, { packets: { pins, ...of(stranger) } }), { code: 'WSD_DIAL_SESSION' });
  await t.rejects(connect(closed, { packets: { pins } }), { code: 'WSD_DIAL_SESSION' });
});

t.test('what cannot be used is told before anything listens', async (t) => {
  const folder = t.testdir({ 'key.pem': 'no key' });
  const home = await openHome(join(folder, 'wsd'), { make: true, wall: Date.now() });
  const made = makeCertificate({ now: Date.now(), subject: 'dispatch.example' });
  const certificate = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  const none = join(folder, 'none.pem');
  await writeFile(certificate, made.certificatePem);
  await t.rejects(serverOptions(home, { ...NOTHING, sessions: { certificate, key: none } }), {
    name: 'DaemonError',
    message: `cannot read ${none}: it does not exist`,
  });
  await t.rejects(pinOf(home, { ...NOTHING, sessions: { certificate: none, key } }), { name: 'DaemonError' });
  await t.rejects(serverOptions(home, { ...NOTHING, sessions: { certificate, key } }), {
    name: 'DaemonError',
    message: /^the configuration is not usable: .*a private key is expected/,
  });
});
