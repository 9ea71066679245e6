import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import t from 'tap';
import { main } from '../../lib/cli/main.js';
import { loadOwn } from '../../lib/crypto/certificate.js';
import { createJudge } from '../../lib/crypto/judge.js';
import { fakeIo } from './fake-io.js';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const keygen = async (...args: string[]): Promise<Ran> => {
  const io = fakeIo({ stdin: '' });
  const code = await main(['keygen', ...args], io);
  return { code, out: io.stdout.text, err: io.stderr.text };
};

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8);
const text = (path: string): Promise<string> => readFile(path, 'utf8');

t.test('a key and a certificate for this machine, and what others need to trust it', async (t) => {
  const out = join(t.testdir(), 'mine');
  const ran = await keygen('--out', out);
  t.equal(ran.code, 0);
  const [key, certificate] = await Promise.all([text(`${out}-key.pem`), text(`${out}-cert.pem`)]);
  t.equal(await modeOf(`${out}-key.pem`), '600', 'nobody else can read the key');
  t.match(await modeOf(`${out}-cert.pem`), /^6[04][04]$/);
  const own = loadOwn({ certificate, key });
  t.strictSame(own.info.names, ['localhost', '127.0.0.1', '::1']);
  const point = Buffer.from(own.publicKey ?? []).toString('hex');
  t.match(ran.out, new RegExp(`^pin +${own.info.fingerprint}$`, 'm'));
  t.match(ran.out, new RegExp(`^public key +${point}$`, 'm'));
  t.match(ran.out, /^signed by +itself$/m);
  t.match(ran.err, `wsd serve --echo --tls-cert ${out}-cert.pem --tls-key ${out}-key.pem`);
  t.match(ran.err, `wsd serve --echo --packets --packet-cert ${out}-cert.pem --packet-key ${out}-key.pem`);
  t.match(ran.err, `wsd connect --packets --pin ${own.info.fingerprint} URL`);
  t.notMatch(ran.out + ran.err, /PRIVATE KEY/, 'the key is in its file and nowhere else');
  t.ok(createSecureContext({ cert: certificate, key }), 'TLS takes them');
  const verdict = createJudge({ peer: 'server', pins: [own.info.fingerprint] }).judge(own.certificate, Date.now());
  t.equal(typeof verdict, 'object');
});

t.test('what is there is kept, unless it is to be replaced', async (t) => {
  const folder = t.testdir({ 'a-key.pem': 'old key', 'b-cert.pem': 'old certificate', elsewhere: 'kept' });
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name)) as [string, string, string];
  t.match(await keygen('--out', a), { code: 1, out: '', err: /a-key.pem exists: .*--force/ });
  t.match(await keygen('--out', b), { code: 1, out: '', err: /b-cert.pem exists/ });
  t.strictSame((await readdir(folder)).sort(), ['a-key.pem', 'b-cert.pem', 'elsewhere'], 'nothing was written');
  t.equal(await text(`${a}-key.pem`), 'old key');
  await chmod(`${a}-key.pem`, 0o644);
  await symlink(join(folder, 'elsewhere'), `${c}-key.pem`);
  t.match(await keygen('--out', c), { code: 1, err: /c-key.pem exists/ });
  for (const out of [a, b, c]) {
    t.match(await keygen('--force', '--out', out), { code: 0 });
    t.match(await text(`${out}-key.pem`), /PRIVATE KEY/);
    t.equal(await modeOf(`${out}-key.pem`), '600', 'the mode of the old file is not kept');
  }
  t.equal(await text(join(folder, 'elsewhere')), 'kept', 'a link is replaced, not followed');
  const names = ['a-cert.pem', 'a-key.pem', 'b-cert.pem', 'b-key.pem', 'c-cert.pem', 'c-key.pem', 'elsewhere'];
  t.strictSame((await readdir(folder)).sort(), names, 'nothing is left behind');
  await mkdir(join(folder, 'd-cert.pem'));
  const d = join(folder, 'd');
  t.match(await keygen('--force', '--out', d), { code: 1, err: /d-cert.pem: it is a folder/ });
  t.notOk(
    (await readdir(folder)).some((name) => name.startsWith('d-key')),
    'no half of a pair',
  );
  t.match(await keygen('--out', join(folder, 'no', 'x')), { code: 1, err: /its folder does not exist/ });
  // The key still fits into a name of 255 bytes, the certificate does not.
  const long = join(folder, 'e'.repeat(247));
  t.match(await keygen('--out', long), { code: 1, err: /the name is too long/ });
  t.strictSame(
    (await readdir(folder)).filter((name) => name.startsWith('ee')),
    [],
    'no key without its certificate',
  );
  t.match(await keygen('--out', join(folder, 'elsewhere', 'x')), { code: 1, err: /not a folder/ });
});

t.test('a CA signs servers and clients', async (t) => {
  const folder = t.testdir();
  const [ca, server, client] = ['ca', 'server', 'client'].map((name) => join(folder, name)) as [string, string, string];
  const by = ['--ca', `${ca}-cert.pem`, '--ca-key', `${ca}-key.pem`];
  const made = await keygen('--make-ca', '--subject', 'our CA', '--out', ca);
  t.match(made, { code: 0, out: /^subject +CN=our CA$/m, err: `wsd keygen chat.example.com ${by.join(' ')}` });
  t.notMatch(made.out, /^pin /m, 'a CA is not pinned');
  t.match(await keygen('chat.example.com', '*.chat.example.com', ...by, '--usage', 'server', '--out', server), {
    code: 0,
    out: /^signed by +CN=our CA\nnames +chat.example.com, \*.chat.example.com$/m,
  });
  const alice = await keygen('--subject', 'alice', ...by, '--usage', 'client', '--type', 'ed25519', '--out', client);
  t.match(alice, { code: 0, out: /^subject +CN=alice$/m });
  t.notMatch(alice.out, /^(names|public key) /m);
  t.notMatch(alice.err, /wsd serve|pins/, 'no hints that do not fit');
  const anchors = [await text(`${ca}-cert.pem`)];
  const judges = [
    createJudge({ peer: 'server', anchors, name: 'a.chat.example.com' }),
    createJudge({ peer: 'client', anchors }),
  ];
  const verdicts = [];
  for (const out of [server, client]) {
    const { raw } = new X509Certificate(await text(`${out}-cert.pem`));
    verdicts.push(judges.map((judge) => typeof judge.judge(raw, Date.now())));
  }
  t.strictSame(verdicts, [
    ['object', 'string'],
    ['string', 'object'],
  ]);
  const wrong = ['--ca', `${ca}-cert.pem`, '--ca-key', `${server}-key.pem`, '--out', join(folder, 'x')];
  t.match(await keygen(...wrong), { code: 1, err: /key of the CA does not belong to its certificate/ });
  const leaf = ['--ca', `${server}-cert.pem`, '--ca-key', `${server}-key.pem`, '--out', join(folder, 'x')];
  t.match(await keygen(...leaf), { code: 1, err: /certificate of the CA is not that of a CA/ });
  t.match(await keygen('--ca', 'nowhere.pem', '--ca-key', 'x'), { code: 1, err: /cannot read nowhere.pem/ });
  await writeFile(join(folder, 'junk'), '\u001b[31mjunk');
  const junk = ['--ca', join(folder, 'junk'), '--ca-key', `${ca}-key.pem`];
  t.match(await keygen(...junk), { code: 1, err: /a certificate is expected: this is neither PEM nor DER/ });
  t.notOk((await readdir(folder)).some((name) => name.startsWith('x')));
});

t.test('programs read one object, and nothing of the key in it', async (t) => {
  const out = join(t.testdir(), 'json');
  const ran = await keygen('svc-a', '10.0.0.1', '--json', '--out', out, '--days', '30');
  t.match(ran, { code: 0, err: '' });
  const object = JSON.parse(ran.out) as Readonly<Record<string, unknown>>;
  const x509 = new X509Certificate(await text(`${out}-cert.pem`));
  t.match(object, {
    keyFile: `${out}-key.pem`,
    certificateFile: `${out}-cert.pem`,
    subject: 'CN=svc-a',
    issuer: 'CN=svc-a',
    serialNumber: x509.serialNumber,
    names: ['svc-a', '10.0.0.1'],
    validTo: new Date(Date.parse(x509.validTo)).toISOString(),
    ca: false,
    pin: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    publicKey: /^04[0-9a-f]{128}$/,
  });
  t.notOk('key' in object);
  t.equal(ran.out.trim().split('\n').length, 1);
});

t.test('the key goes to stdout only when that is asked for', async (t) => {
  t.chdir(t.testdir());
  const ran = await keygen('--stdout', 'a.example');
  t.equal(ran.code, 0);
  t.match(ran.out, /^-----BEGIN PRIVATE KEY-----\n[\w+/=\n]+-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n/);
  t.ok(loadOwn({ certificate: ran.out, key: ran.out }), 'one text with both');
  t.match(ran.err, /^pin +[0-9a-f]{64}$/m, 'what is said about it goes elsewhere');
  t.notMatch(ran.err, /PRIVATE KEY/);
  const json = await keygen('--stdout', '--json', '--type', 'rsa2048');
  const object = JSON.parse(json.out) as Readonly<Record<string, string>>;
  t.ok(loadOwn({ certificate: object['certificate'] ?? '', key: object['key'] ?? '' }));
  t.notOk('publicKey' in object || 'keyFile' in object);
  t.strictSame(await readdir('.'), [], 'no files');
});

t.test('the files have a name of their own, which the hints quote for a shell', async (t) => {
  t.chdir(t.testdir());
  t.match(await keygen(), { code: 0, err: 'wsd serve --echo --tls-cert wsd-cert.pem --tls-key wsd-key.pem' });
  t.match(await keygen('--make-ca'), { code: 0, out: /^subject +CN=wsd CA$/m, err: '--ca ca-cert.pem' });
  t.match(await keygen('--out', "it's mine"), { code: 0, err: "--tls-cert 'it'\\''s mine-cert.pem'" });
  t.match(await keygen('--out=-x'), { code: 0, err: '--tls-cert ./-x-cert.pem' });
  t.equal((await readdir('.')).length, 8);
});

t.test('the hints name commands and flags that exist', async (t) => {
  t.chdir(t.testdir());
  const hints: string[] = [];
  for (const args of [
    ['--out', 'a'],
    ['--make-ca'],
    ['--out', 'b', '--ca', 'ca-cert.pem', '--ca-key', 'ca-key.pem'],
    ['--out', 'c', '--usage', 'client', '--subject', 'alice'],
    ['--out', 'd', '--usage', 'client', '--subject', 'bob', '--ca', 'ca-cert.pem', '--ca-key', 'ca-key.pem'],
  ]) {
    hints.push(...(await keygen(...args)).err.trimEnd().split('\n'));
  }
  let flags = 0;
  for (const hint of hints) {
    const command = /wsd (\w+)/.exec(hint)?.[1] ?? 'serve';
    const help = fakeIo();
    t.equal(await main([command, '--help'], help), 0, hint);
    for (const [flag] of hint.matchAll(/--[a-z][a-z-]+/g)) {
      t.match(help.stdout.text, new RegExp(`^ .*${flag}(?![\\w-])`, 'm'), `${command} ${flag}`);
      flags++;
    }
  }
  t.ok(flags > 20);
});

t.test('words that make no sense are refused before anything is made', async (t) => {
  t.chdir(t.testdir());
  for (const [args, err] of [
    [['a b'], /not a DNS name or an address: "a b"/],
    [['ä.example'], /write xn--/],
    [['\u001b[31m'], /not a DNS name/],
    [['--subject', 'x'.repeat(65)], /1 to 64 characters/],
    [['--days', '0'], /--days takes a whole number from 1 to 36500/],
    [['--type', 'rsa'], /--type takes p256, ed25519 or rsa2048/],
    [['--usage', 'both'], /--usage takes server or client/],
    [['--usage', 'client'], /say who the client is with --subject/],
    [['--make-ca', 'a.example'], /a CA is reached by no name/],
    [['--make-ca', '--usage', 'server'], /--make-ca excludes --usage/],
    [['--ca', 'x'], /--ca and --ca-key go together/],
    [['--ca-key', 'x'], /--ca and --ca-key go together/],
    [['--stdout', '--out', 'x'], /--stdout writes no files/],
    [['--stdout', '--force'], /--stdout writes no files/],
    [['--ca-cert', 'x'], /unknown option --ca-cert/],
  ] as const) {
    const ran = await keygen(...args);
    t.match(ran, { code: 2, out: '', err }, args.join(' '));
    t.notOk(ran.err.includes('\u001b'));
    t.match(ran.err, /see: wsd help keygen/);
  }
  t.strictSame(await readdir('.'), []);
});

t.test('a certificate that is larger than a session takes is pointed out', async (t) => {
  const names = Array.from({ length: 100 }, (_, at) => `a-rather-long-name-of-a-machine-${at}.example.com`);
  const ran = await keygen('--stdout', ...names);
  t.match(ran, { code: 0, err: /\d+ bytes are more than a session takes by default/ });
});
