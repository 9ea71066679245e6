// Certificates made here, read by three that did not make them: node:crypto, TLS of Node, and openssl where there is one.
import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type SecureContextOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { need } from '../../fixtures/rig/need.js';
import { loadOwn } from '../../lib/crypto/certificate.js';
import { element } from '../../lib/crypto/der.js';
import { readAddress, writeGeneralName } from '../../lib/crypto/general-name.js';
import { createJudge } from '../../lib/crypto/judge.js';
import { type CertificateOptions, type MadeCertificate, makeCertificate } from '../../lib/crypto/make-certificate.js';
import { readCertificate } from '../../lib/crypto/x509.js';
import { algorithmOf, writePem } from '../../lib/crypto/x509-write.js';
import { basic, CA, certify, curve, DAY, NOW, rsa, usage } from './certify.js';

// TLS looks at the clock of the machine.
const now = Date.now();
const TYPES = ['p256', 'ed25519', 'rsa2048'] as const;
const NAMES = ['localhost', '127.0.0.1', '::1', '*.example.com'];

const make = (options: Partial<CertificateOptions> = {}): MadeCertificate =>
  makeCertificate({ now, names: NAMES, ...options });
const issuerOf = ({ certificatePem, keyPem }: MadeCertificate): { certificate: string; key: string } => ({
  certificate: certificatePem,
  key: keyPem,
});

const CAS = new Map(TYPES.map((type) => [type, make({ ca: true, names: [], subject: `CA of ${type}`, type })]));
const caOf = (type: (typeof TYPES)[number]): MadeCertificate => CAS.get(type) as MadeCertificate;

for (const type of TYPES) {
  t.test(`${type}: what is made is what node:crypto reads`, async (t) => {
    for (const ca of TYPES) {
      const made = make({ type, issuer: issuerOf(caOf(ca)) });
      const x509 = new X509Certificate(made.certificatePem);
      const issuer = new X509Certificate(caOf(ca).certificatePem);
      t.equal(x509.raw.compare(made.certificate), 0, 'the PEM is the DER');
      t.ok(x509.checkPrivateKey(createPrivateKey(made.keyPem)), 'the key belongs to it');
      t.ok(x509.checkIssued(issuer) && x509.verify(issuer.publicKey), `signed by the CA of ${ca}`);
      t.match(x509, {
        ca: false,
        subject: 'CN=localhost',
        issuer: `CN=CA of ${ca}`,
        subjectAltName: 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:*.example.com',
        keyUsage: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      });
      t.match(x509.serialNumber, /^[4-7][0-9A-F]{31}$/, 'sixteen octets, positive');
      t.equal(Date.parse(x509.validTo), Math.floor((now + 365 * DAY) / 1000) * 1000);
      t.equal(x509.fingerprint256.replaceAll(':', '').toLowerCase(), made.info.fingerprint);
      t.match(made.info, { subject: 'CN=localhost', names: NAMES, serialNumber: x509.serialNumber });
      t.equal(made.publicKey?.length, type === 'p256' ? 65 : undefined);
    }
  });

  t.test(`${type}: our own judge accepts it, and its key signs for it`, async (t) => {
    const made = make({ type, issuer: issuerOf(caOf('p256')) });
    const self = make({ type });
    const own = loadOwn({ certificate: made.certificatePem, key: made.keyPem });
    for (const [one, judge] of [
      [made, createJudge({ peer: 'server', anchors: [caOf('p256').certificatePem], name: 'a.example.com' })],
      [made, createJudge({ peer: 'client', anchors: [caOf('p256').certificate] })],
      [self, createJudge({ peer: 'server', pins: [self.info.fingerprint] })],
    ] as const) {
      const verdict = judge.judge(one.certificate, now);
      if (typeof verdict === 'string') t.fail(verdict);
      else if (one === made) t.ok(verdict.verify(own.scheme, Buffer.from('x'), own.sign(Buffer.from('x'))));
      t.equal(typeof judge.judge(caOf('p256').certificate, now), 'string', 'the CA itself is nobody');
    }
  });

  t.test(`${type}: TLS serves with it, and a client that trusts it or its CA connects`, async (t) => {
    const self = make({ type });
    const made = make({ type, issuer: issuerOf(caOf('rsa2048')) });
    t.strictSame(await shake(t, self, { ca: self.certificatePem }), { authorized: true, subject: 'localhost' });
    t.strictSame(await shake(t, made, { ca: caOf('rsa2048').certificatePem }), {
      authorized: true,
      subject: 'localhost',
    });
    t.match(await shake(t, made, { ca: self.certificatePem }), { code: /UNABLE_TO_VERIFY|SELF_SIGNED|ISSUER/ });
  });
}

type Shaken = { readonly authorized: boolean; readonly subject: string } | { readonly code: string | undefined };

/** One connection to a server that shows what was made. */
const shake = async (t: Test, made: MadeCertificate, trust: SecureContextOptions): Promise<Shaken> => {
  const server = createServer({ cert: made.certificatePem, key: made.keyPem });
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ...trust, timeout: 5000 });
  try {
    await once(socket, 'secureConnect');
    return { authorized: socket.authorized, subject: String(socket.getPeerCertificate().subject.CN) };
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code };
  } finally {
    socket.destroy();
    server.close();
  }
};

t.test('openssl reads what is made, and verifies it', async (t) => {
  const openssl = need(t, 'openssl');
  if (openssl === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'wsd-certificates-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const run = (...words: string[]): string =>
    execFileSync(openssl, words, { encoding: 'utf8', timeout: 10_000, stdio: 'pipe' });
  for (const type of TYPES) {
    const ca = file('ca.pem', caOf(type).certificatePem);
    for (const [usage, purpose] of [
      ['server', 'sslserver'],
      ['client', 'sslclient'],
    ] as const) {
      const made = make({ type, issuer: issuerOf(caOf(type)), usage: [usage] });
      const leaf = file('leaf.pem', made.certificatePem);
      t.match(run('verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, leaf), /: OK/, `${type} ${usage}`);
      const other = purpose === 'sslserver' ? 'sslclient' : 'sslserver';
      t.throws(() => run('verify', '-purpose', other, '-CAfile', ca, leaf), `${type} ${usage} is nothing else`);
      const text = run('x509', '-noout', '-text', '-in', leaf);
      t.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
      t.match(text, /X509v3 Key Usage: critical\s+Digital Signature\n/);
      t.match(text, /X509v3 Authority Key Identifier:/);
      t.match(run('pkey', '-noout', '-text', '-in', file('key.pem', made.keyPem)), /Private-Key/i);
    }
    const text = run('x509', '-noout', '-text', '-in', ca);
    t.match(text, /X509v3 Basic Constraints: critical\s+CA:TRUE\n/);
    t.match(text, /X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  }
  const second = make({ ca: true, names: [], subject: 'second', issuer: issuerOf(caOf('p256')) });
  const leaf = make({ issuer: issuerOf(second) });
  const [root, between, end] = [caOf('p256'), second, leaf].map((one, at) => file(`${at}.pem`, one.certificatePem));
  t.match(run('verify', '-x509_strict', '-CAfile', `${root}`, '-untrusted', `${between}`, `${end}`), /: OK/, 'three');
});

t.test('a CA is one, and signs no longer than it lives', async (t) => {
  const ca = make({ ca: true, names: [], subject: 'short', days: 10 });
  t.match(readCertificate(ca.certificate), { ca: true, pathLength: undefined, usage: 0x06, purposes: undefined });
  const made = make({ issuer: issuerOf(ca), days: 365 });
  t.equal(made.info.validTo, ca.info.validTo);
  const second = make({ ca: true, names: [], subject: 'second', issuer: issuerOf(ca) });
  t.match(readCertificate(second.certificate), { ca: true, pathLength: 0 });
  t.ok(make({ issuer: issuerOf(second) }), 'which signs leaves');
  t.throws(() => make({ ca: true, issuer: issuerOf(second) }), /this CA may not sign other CAs/);
});

t.test('keys, serial numbers and so pins are fresh each time', async (t) => {
  const [one, other] = [make(), make()];
  t.not(one.info.fingerprint, other.info.fingerprint);
  t.not(one.info.serialNumber, other.info.serialNumber);
  t.not(one.keyPem, other.keyPem);
});

t.test('options are taken as they are given, or refused in one sentence', async (t) => {
  const made = makeCertificate({ now: NOW, subject: 'Ädä & Söhne', days: 1, usage: ['client'] });
  t.equal(made.info.subject, 'CN=Ädä & Söhne');
  t.strictSame([made.info.validFrom, made.info.validTo, made.info.names], [NOW - 3_600_000, NOW + DAY, []]);
  t.match(readCertificate(make({ usage: ['server'] }).certificate), { purposes: ['1.3.6.1.5.5.7.3.1'], usage: 0x80 });
  const p256 = caOf('p256');
  const weak = rsa(1024);
  const signs = curve('P-256');
  const pem = (extensions: typeof CA, keys = signs, to = now + DAY): { certificate: string; key: Uint8Array } => ({
    certificate: writePem('CERTIFICATE', certify({ keys, subject: 'CA', extensions, from: now - DAY, to })),
    key: keys.privateKey.export({ type: 'pkcs8', format: 'der' }),
  });
  t.throws(() => algorithmOf(curve('secp256k1').privateKey), /no certificate is signed with a key of this kind/);
  for (const [options, name, message] of [
    [{ names: [] }, 'RangeError', /subject must have 1 to 64 characters/],
    [{ subject: '' }, 'RangeError', /subject must have/],
    [{ subject: 'x'.repeat(65) }, 'RangeError', /subject must have/],
    [{ subject: 'a\u001b[31m' }, 'RangeError', /none of them a control character/],
    [{ days: 0 }, 'RangeError', /days/],
    [{ days: 1.5 }, 'RangeError', /days/],
    [{ days: 36_501 }, 'RangeError', /days/],
    [{ now: Number.NaN }, 'TypeError', /now/],
    [{ names: [`${'x.'.repeat(40)}example`], subject: undefined }, 'RangeError', /subject must have/],
    [{ names: ['a b'] }, 'RangeError', /not a DNS name or an address: "a b"/],
    [{ usage: [] }, 'TypeError', /usage must be/],
    [{ usage: ['toString' as 'server'] }, 'TypeError', /usage must be/],
    [{ type: 'dsa' as 'p256' }, 'TypeError', /type of a key/],
    [{ issuer: { ...issuerOf(p256), key: make().keyPem } }, 'TypeError', /key of the CA does not belong/],
    [{ issuer: issuerOf(make()) }, 'TypeError', /is not that of a CA/],
    [{ issuer: pem([basic(true), usage(0x80)]) }, 'TypeError', /may not sign certificates/],
    [{ issuer: pem(CA, weak) }, 'TypeError', /too weak/],
    [{ issuer: pem(CA, signs, now - 1000) }, 'TypeError', /the CA has expired/],
    [{ now: now - 10 * DAY, issuer: pem(CA) }, 'TypeError', /the CA is not yet valid/],
  ] as const) {
    t.throws(() => make(options), { name, message }, message.source);
  }
});

t.test('names and addresses are written as they are compared', async (t) => {
  for (const [text, tag, body] of [
    ['Chat.Example.COM', 0x82, 'chat.example.com'],
    ['*.example.com', 0x82, '*.example.com'],
    ['svc-a', 0x82, 'svc-a'],
    ['_x.example', 0x82, '_x.example'],
    ['127.0.0.1', 0x87, [127, 0, 0, 1]],
    ['[::1]', 0x87, [...new Array<number>(15).fill(0), 1]],
    ['::', 0x87, new Array<number>(16).fill(0)],
    ['2001:DB8::8:800:200c:417a', 0x87, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 8, 8, 0, 0x20, 0xc, 0x41, 0x7a]],
    ['::ffff:192.0.2.1', 0x87, [...new Array<number>(10).fill(0), 255, 255, 192, 0, 2, 1]],
    ['1:2:3:4:5:6:7::', 0x87, [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]],
  ] as const) {
    const contents = typeof body === 'string' ? Buffer.from(body) : Uint8Array.from(body);
    t.strictSame(Buffer.from(writeGeneralName(text)), Buffer.from(element(tag, contents)), text);
  }
  for (const bad of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    '-a',
    'a-',
    'a b',
    'a/b',
    'ä.example',
    '*',
    '*.com',
    'a.*.example',
    '**.example.com',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4.',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '::1%lo',
    '::1.2.3',
    '1.2.3.4::',
    '[127.0.0.1]',
    'x'.repeat(64),
    `${'a.'.repeat(127)}ab`,
  ]) {
    t.throws(() => writeGeneralName(bad), RangeError, JSON.stringify(bad));
    t.equal(isIP(bad), bad === '::1%lo' ? 6 : 0, 'and Node says so too');
  }
  for (const text of ['1::', '::1.2.3.4', 'a:b:c:d:e:f:1.2.3.4', '0.0.0.0', '255.255.255.255']) {
    t.ok(isIP(text) > 0 && readAddress(text) !== undefined, text);
  }
});

t.test('addresses are shown in their shortest form', async (t) => {
  for (const [text, shown] of [
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['1::', '1::'],
    ['1:0:0:2::3', '1:0:0:2::3'],
  ] as const) {
    t.strictSame(make({ names: [text] }).info.names, [shown]);
  }
});
