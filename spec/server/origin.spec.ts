import t from 'tap';
import {
  couldBePage,
  defaultHostRule,
  type HostOption,
  judgeHost,
  judgeOrigin,
  type OriginOption,
  parseHostRule,
  parseOriginRule,
} from '../../lib/server/origin.js';

const judge = (
  origin: string | undefined,
  host: string,
  secure: boolean,
  option?: OriginOption,
  originCount?: number,
): string | undefined =>
  judgeOrigin({
    origin,
    originCount: originCount ?? (origin === undefined ? 0 : 1),
    host,
    secure,
    rule: parseOriginRule(option),
  });

t.test('a page may connect to the host it came from and to no other', (t) => {
  const yes = undefined;
  const no = 'WSD_UPGRADE_ORIGIN';
  const table: readonly (readonly [
    origin: string | undefined,
    host: string,
    secure: boolean,
    expected: string | undefined,
  ])[] = [
    [undefined, 'app.example.com', false, yes],
    ['http://app.example.com', 'app.example.com', false, yes],
    ['http://app.example.com:80', 'app.example.com', false, yes],
    ['http://app.example.com', 'app.example.com:80', false, yes],
    ['HTTP://APP.Example.COM', 'app.example.com', false, yes],
    ['http://app.example.com', 'APP.EXAMPLE.COM', false, yes],
    ['http://app.example.com:8080', 'app.example.com:8080', false, yes],
    ['https://app.example.com', 'app.example.com', true, yes],
    ['https://app.example.com', 'app.example.com:443', true, yes],
    ['https://app.example.com:8443', 'app.example.com:8443', true, yes],
    // TLS taken off in front of us
    ['https://app.example.com', 'app.example.com', false, yes],
    ['https://app.example.com:8443', 'app.example.com:8443', false, yes],
    ['https://app.example.com', 'app.example.com:443', false, yes],
    // some clients that are no browser
    ['ws://app.example.com', 'app.example.com', false, yes],
    ['wss://app.example.com', 'app.example.com', true, yes],
    ['http://127.0.0.1:3000', '127.0.0.1:3000', false, yes],
    ['http://[::1]:3000', '[::1]:3000', false, yes],
    ['http://[0:0:0:0:0:0:0:1]:3000', '[::1]:3000', false, yes],
    ['http://localhost', 'localhost', false, yes],

    // another scheme where the scheme is known
    ['http://app.example.com', 'app.example.com', true, no],
    ['http://app.example.com:443', 'app.example.com', true, no],
    ['ftp://app.example.com', 'app.example.com', false, no],
    ['file://', 'app.example.com', false, no],
    ['chrome-extension://abcdef', 'abcdef', false, no],
    // another port
    ['http://app.example.com:8080', 'app.example.com', false, no],
    ['http://app.example.com', 'app.example.com:8080', false, no],
    ['https://app.example.com', 'app.example.com:80', false, no],
    ['https://app.example.com:80', 'app.example.com', false, no],
    ['https://app.example.com:8443', 'app.example.com', true, no],
    // look-alikes
    ['http://app.example.com.evil.example', 'app.example.com', false, no],
    ['http://evilapp.example.com', 'app.example.com', false, no],
    ['http://evil.example/app.example.com', 'app.example.com', false, no],
    ['http://app.example.com@evil.example', 'app.example.com', false, no],
    ['http://app.example.com:80@evil.example', 'app.example.com', false, no],
    ['http://app-example.com', 'app.example.com', false, no],
    ['http://app.example.com.', 'app.example.com', false, no],
    ['http://example.com', 'app.example.com', false, no],
    ['http://app.example.co', 'app.example.com', false, no],
    // a name and its address are two hosts
    ['http://localhost:3000', '127.0.0.1:3000', false, no],
    ['http://127.0.0.1', '[::ffff:127.0.0.1]', false, no],
    ['http://127.1', '127.0.0.1', false, no],
    // no origin at all, but a header
    ['null', 'app.example.com', false, no],
    ['null', 'null', false, no],
    ['', 'app.example.com', false, no],
    ['undefined', 'app.example.com', false, no],
    ['app.example.com', 'app.example.com', false, no],
    ['//app.example.com', 'app.example.com', false, no],
    ['://app.example.com', 'app.example.com', false, no],
    ['http:app.example.com', 'app.example.com', false, no],
    ['http://', '', false, no],
    ['http://app.example.com/', 'app.example.com', false, no],
    ['http://app.example.com?', 'app.example.com', false, no],
    ['http://app.example.com#', 'app.example.com', false, no],
    ['http://app.example.com ', 'app.example.com', false, no],
    ['http://app.example.com:', 'app.example.com', false, no],
    ['http://app.example.com:080', 'app.example.com', false, no],
    ['http://app.example.com:65536', 'app.example.com:65536', false, no],
    ['http://app.example.com:-1', 'app.example.com', false, no],
    ['http://app.example.com http://evil.example', 'app.example.com', false, no],
    ['http://app.example.com, http://evil.example', 'app.example.com', false, no],
    ['http://app.example.com\\evil.example', 'app.example.com', false, no],
    ['http://app.example.com%00', 'app.example.com', false, no],
    ['http://\u00e4pp.example.com', '\u00e4pp.example.com', false, no],
    ['http://[::1', '[::1', false, no],
    ['http://[::1]x', '[::1]', false, no],
    ['http://[::1%25lo]', '[::1%25lo]', false, no],
    ['http://[127.0.0.1]', '127.0.0.1', false, no],
    [`http://${'a'.repeat(600)}`, 'a'.repeat(600), false, no],
    // a Host that is none
    ['http://app.example.com', '', false, no],
    ['http://app.example.com', 'app.example.com:x', false, no],
    ['http://app.example.com', 'app.example.com, evil.example', false, no],
  ];
  for (const [origin, host, secure, expected] of table) {
    t.equal(
      judge(origin, host, secure),
      expected,
      `${JSON.stringify(origin)} to ${secure ? 'wss' : 'ws'} ${JSON.stringify(host)}`,
    );
  }
  t.equal(judge('http://a.example', 'a.example', false, 'same'), undefined, 'same is the default, by its name too');
  t.end();
});

t.test('a list holds exactly its origins', (t) => {
  const list = [
    'https://app.example.com',
    'http://dev.example.com:8080',
    'null',
    'http://[::1]:3000',
    'capacitor://localhost',
    'file://',
  ];
  for (const origin of [
    undefined,
    ...list,
    'HTTPS://App.Example.Com',
    'https://app.example.com:443',
    'http://[0::1]:3000',
  ]) {
    t.equal(judge(origin, 'api.example.com', true, list), undefined, `${origin}`);
  }
  const others = [
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'https://evil-app.example.com',
    'https://xapp.example.com',
    'wss://app.example.com',
    'http://dev.example.com',
    'Null',
    'NULL',
    '',
    'capacitor://localhost:80',
    'https://app.example.com/',
    'https://api.example.com',
  ];
  for (const origin of others) t.equal(judge(origin, 'api.example.com', true, list), 'WSD_UPGRADE_ORIGIN', origin);
  t.equal(
    judge('null', 'api.example.com', true, ['https://app.example.com']),
    'WSD_UPGRADE_ORIGIN',
    'null only when listed',
  );
  t.equal(judge('https://a.example', 'a.example', true, []), 'WSD_UPGRADE_ORIGIN', 'an empty list allows no page');
  for (const slip of [
    'app.example.com',
    'https://app.example.com/',
    'https://*.example.com',
    '*',
    '',
    'https://',
    'https://u@a.example',
    'https://a.example:0x50',
  ]) {
    t.throws(() => parseOriginRule([slip]), TypeError, JSON.stringify(slip));
  }
  t.throws(
    () => parseOriginRule('https://app.example.com' as unknown as OriginOption),
    TypeError,
    'a text instead of a list',
  );
  t.end();
});

t.test('two Origin headers are refused under every rule', (t) => {
  for (const option of ['same', 'any', ['http://a.example'], () => true] as const) {
    t.equal(judge('http://a.example', 'a.example', false, option, 2), 'WSD_UPGRADE_ORIGIN');
  }
  t.equal(judge('anything at all', 'a.example', false, 'any'), undefined, 'any is any, once');
  t.end();
});

t.test('a function decides alone, and only by true', (t) => {
  const asked: unknown[] = [];
  const allow = (origin: string | undefined, host: string): boolean => {
    asked.push([origin, host]);
    return origin?.endsWith('.example') ?? false;
  };
  t.equal(judge('https://a.example', 'h', true, allow), undefined);
  t.equal(judge(undefined, 'h', true, allow), 'WSD_UPGRADE_ORIGIN');
  t.strictSame(asked, [
    ['https://a.example', 'h'],
    [undefined, 'h'],
  ]);
  const promise = (async () => false) as unknown as () => boolean;
  t.equal(judge('https://a.example', 'h', true, promise), 'WSD_UPGRADE_ORIGIN', 'a promise is not true');
  t.equal(
    judge('null', 'h', true, (origin) => new URL(origin ?? '').host === 'h'),
    'WSD_UPGRADE_FAILED',
    'a throw stays here',
  );
  t.end();
});

t.test('a loopback listener answers to loopback names only, when a page could be asking', (t) => {
  for (const local of ['127.0.0.1', '127.0.0.2', '::1', '::ffff:127.0.0.1'])
    t.equal(defaultHostRule(local).kind, 'loopback', local);
  for (const local of ['192.168.1.2', '0.0.0.0', '2001:db8::1', undefined, '', 'x'])
    t.equal(defaultHostRule(local).kind, 'any', `${local}`);

  const rule = defaultHostRule('127.0.0.1');
  const own = [
    'localhost',
    'LOCALHOST:3000',
    'localhost.',
    'app.localhost:80',
    '127.0.0.1',
    '127.0.0.1:3000',
    '127.8.8.8',
    '[::1]',
    '[::1]:3000',
    '[::ffff:127.0.0.1]',
  ];
  for (const host of own) t.equal(judgeHost(host, rule), undefined, host);
  const strange = [
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    'notlocalhost',
    '127.0.0.1.evil.example',
    '0.0.0.0',
    '127.1',
    '192.168.0.1',
    '[::2]',
    '',
    'localhost:x',
    'localhost@evil.example',
    '[::1',
    '::1',
  ];
  for (const host of strange) {
    t.equal(judgeHost(host, rule), 'WSD_UPGRADE_HOST', JSON.stringify(host));
    t.equal(judgeHost(host, rule, false), undefined, `${host} of what is no page`);
    t.equal(judgeHost(host, defaultHostRule('192.0.2.1')), undefined, `${host} elsewhere`);
  }

  t.equal(couldBePage({ upgrade: true, origin: 'http://evil.example', forwarded: false }), true, 'the rebound page');
  t.equal(couldBePage({ upgrade: true, origin: undefined, forwarded: false }), false, 'no browser');
  t.equal(
    couldBePage({ upgrade: true, origin: 'https://app.example.com', forwarded: true }),
    false,
    'a proxy on this machine',
  );
  t.equal(
    couldBePage({ upgrade: false, origin: undefined, forwarded: false }),
    true,
    'GET of its own site has no Origin',
  );
  t.equal(couldBePage({ upgrade: false, origin: undefined, forwarded: true }), true, 'fetch() may add any such header');
  t.end();
});

t.test('a list of hosts binds every request', (t) => {
  const rule = parseHostRule([
    'app.example.com',
    'Dev.Example.com:8080',
    '*.apps.example.com',
    '[::1]:3000',
    '192.0.2.1',
  ]);
  const listed = [
    'app.example.com',
    'APP.example.com:9999',
    'dev.example.com:8080',
    'a.apps.example.com',
    'a.b.apps.example.com:1',
    '[0::1]:3000',
    '192.0.2.1:80',
  ];
  for (const host of listed) t.equal(judgeHost(host, rule, false), undefined, host);
  const others = [
    'dev.example.com',
    'dev.example.com:80',
    'apps.example.com',
    'evilapps.example.com',
    '.apps.example.com',
    'app.example.com.evil.example',
    '[::1]',
    'localhost',
    '',
    'a b',
  ];
  for (const host of others) t.equal(judgeHost(host, rule, false), 'WSD_UPGRADE_HOST', JSON.stringify(host));
  t.equal(judgeHost('anything', parseHostRule('any')), undefined);
  t.equal(judgeHost('anything', parseHostRule('loopback')), 'WSD_UPGRADE_HOST');
  for (const slip of ['https://app.example.com', '*', '*.', '*.a.example:80', '', 'a/b', 'a:b']) {
    t.throws(() => parseHostRule([slip]), TypeError, JSON.stringify(slip));
  }
  t.throws(() => parseHostRule('app.example.com' as unknown as HostOption), TypeError, 'a text instead of a list');
  t.end();
});
