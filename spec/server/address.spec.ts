import t from 'tap';
import { clientAddress, type ForwardingHeader, isTrusted, parseTrusted } from '../../lib/server/address.js';
import { accountingKey, inCidrs, isLoopback, parseCidr, parseIp, writeIp } from '../../lib/server/cidr.js';

t.test('an address has one text form, however it was written', (t) => {
  const table: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['256.0.0.1', undefined],
    ['192.0.2', undefined],
    ['192.0.2.1.5', undefined],
    ['192.0.2.', undefined],
    ['192.0.02.1', undefined],
    ['0x7f.0.0.1', undefined],
    ['127.1', undefined],
    ['1.2.3.4%eth0', undefined],
    ['-1.2.3.4', undefined],
    [' 1.2.3.4', undefined],
    ['', undefined],
    ['localhost', undefined],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::00ff', '2001:db8::ff'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
    ['fe80::1%eth0', 'fe80::1'],
    ['fe80::1%', undefined],
    ['1:2:3:4:5:6:7', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['1:2:3:4:5:6:7:8::', undefined],
    ['1:2:3:4::5:6:7:8', undefined],
    ['1:2:3:4:5:6::1.2.3.4', undefined],
    ['1:2:3:4:5:6:7:1.2.3.4', undefined],
    ['1.2.3.4::', undefined],
    ['1::2::3', undefined],
    [':::', undefined],
    [':1', undefined],
    ['1:', undefined],
    [':', undefined],
    ['::g', undefined],
    ['::12345', undefined],
    ['::1.2.3', undefined],
    ['[::1]', undefined],
    [`::${'0'.repeat(200)}1`, undefined],
  ];
  for (const [text, expected] of table) {
    const ip = parseIp(text);
    t.equal(ip && writeIp(ip), expected, JSON.stringify(text));
    if (ip !== undefined) t.strictSame(parseIp(writeIp(ip))?.bytes.join(), ip.bytes.join(), `${text} reads back`);
  }
  t.end();
});

t.test('a range holds its own addresses and no other', (t) => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['172.16.0.0/12', '172.31.255.255', true],
    ['172.16.0.0/12', '172.32.0.0', false],
    ['192.0.2.128/25', '192.0.2.127', false],
    ['192.0.2.128/25', '192.0.2.128', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '10.0.0.1', false],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['::1', '::1', true],
    ['::1', '::2', false],
    ['::ffff:10.0.0.0/104', '10.9.9.9', true],
    ['::ffff:0:0/96', '10.9.9.9', true],
    ['fe80::/10', 'fe80::1%lo', true],
  ];
  for (const [range, address, expected] of table) {
    const cidr = parseCidr(range);
    const ip = parseIp(address);
    if (cidr === undefined || ip === undefined) t.fail(`${range} and ${address} must be readable`);
    else t.equal(inCidrs(ip, [cidr]), expected, `${address} in ${range}`);
  }
  const wrong = [
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '/8',
    '10.0.0.0/8/8',
    '2001:db8::1/64',
    '::/129',
    'fe80::%a/10',
    '::ffff:0:0/95',
    '10/8',
    '',
  ];
  for (const range of wrong) t.equal(parseCidr(range), undefined, `${JSON.stringify(range)} is no range`);
  t.equal(inCidrs({ bytes: Uint8Array.of(1, 2, 3, 4) }, []), false);
  for (const text of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) t.ok(isLoopback(parseIp(text)!), text);
  for (const text of ['128.0.0.1', '0.0.0.0', '::', '::2']) t.notOk(isLoopback(parseIp(text)!), text);
  t.end();
});

t.test('IPv4 is counted by address and IPv6 by its /64', (t) => {
  const table: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::', '2001:db8:1:3::/64'],
    ['::1', '::/64'],
    // One translator, the whole of IPv4 behind it
    ['64:ff9b::192.0.2.1', '192.0.2.1'],
    ['', 'unknown'],
    ['anything', 'unknown'],
  ];
  for (const [address, key] of table) t.equal(accountingKey(address), key, address);
  t.end();
});

t.test('who is trusted is said in ranges and words, and a slip throws', (t) => {
  const trusted = parseTrusted(['loopback', 'private', '203.0.113.7', 'unix']);
  for (const peer of [
    '127.0.0.1',
    '::1',
    '::ffff:10.0.0.1',
    '172.20.0.1',
    '192.168.1.1',
    'fd00::1',
    '203.0.113.7',
    undefined,
    '',
  ]) {
    t.ok(isTrusted(peer, trusted), `${peer}`);
  }
  for (const peer of ['203.0.113.8', '8.8.8.8', '2001:db8::1', 'garbage']) t.notOk(isTrusted(peer, trusted), peer);
  t.notOk(isTrusted(undefined, parseTrusted(['loopback'])), 'a Unix socket must be named');
  for (const entry of ['10.0.0.1/8', 'proxy.internal', '', 'toString', '__proto__', '10.0.0.0/8 ']) {
    t.throws(() => parseTrusted([entry]), RangeError, JSON.stringify(entry));
  }
  t.end();
});

interface Case {
  readonly name: string;
  readonly peer?: string | undefined;
  readonly trusted?: readonly string[];
  readonly header?: ForwardingHeader;
  readonly values: readonly string[];
  readonly expected: string | undefined;
  readonly hops: number;
}

const many = (element: string, count: number): string => Array.from({ length: count }, () => element).join(', ');

const CASES: readonly Case[] = [
  { name: 'no header', values: [], expected: '10.0.0.1', hops: 0 },
  { name: 'one client', values: ['198.51.100.1'], expected: '198.51.100.1', hops: 1 },
  {
    name: 'a spoofed entry to the left is not believed',
    values: ['1.1.1.1, 198.51.100.1'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'the header of an untrusted peer is not read',
    peer: '8.8.8.8',
    values: ['198.51.100.1'],
    expected: '8.8.8.8',
    hops: 0,
  },
  {
    name: 'a mapped peer is an IPv4 peer',
    peer: '::ffff:10.0.0.1',
    values: ['198.51.100.1'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'a peer without an address',
    peer: undefined,
    trusted: ['unix'],
    values: ['198.51.100.1'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'a peer without an address nobody trusts',
    peer: undefined,
    values: ['198.51.100.1'],
    expected: undefined,
    hops: 0,
  },
  { name: 'two own proxies', values: ['6.6.6.6, 198.51.100.1, 10.0.0.2'], expected: '198.51.100.1', hops: 2 },
  { name: 'only own proxies: the first of them', values: ['10.0.0.3, 10.0.0.2'], expected: '10.0.0.3', hops: 2 },
  {
    name: 'several lines are one list',
    values: ['6.6.6.6', '198.51.100.1', '10.0.0.2'],
    expected: '198.51.100.1',
    hops: 2,
  },
  { name: 'blanks and tabs', values: ['\t6.6.6.6 ,\t 198.51.100.1 \t'], expected: '198.51.100.1', hops: 1 },
  { name: 'a port', values: ['198.51.100.1:4711'], expected: '198.51.100.1', hops: 1 },
  { name: 'a bad port', values: ['198.51.100.1:65536'], expected: '10.0.0.1', hops: 0 },
  { name: 'an empty port', values: ['198.51.100.1:'], expected: '10.0.0.1', hops: 0 },
  { name: 'IPv6 bare', values: ['2001:DB8:0::1'], expected: '2001:db8::1', hops: 1 },
  { name: 'IPv6 in brackets', values: ['[2001:db8::1]'], expected: '2001:db8::1', hops: 1 },
  { name: 'IPv6 in brackets with a port', values: ['[2001:db8::1]:443'], expected: '2001:db8::1', hops: 1 },
  { name: 'brackets left open', values: ['[2001:db8::1'], expected: '10.0.0.1', hops: 0 },
  { name: 'brackets with a tail', values: ['[2001:db8::1]x'], expected: '10.0.0.1', hops: 0 },
  { name: 'IPv4 in brackets', values: ['[198.51.100.1]'], expected: '10.0.0.1', hops: 0 },
  { name: 'an empty value', values: [''], expected: '10.0.0.1', hops: 0 },
  { name: 'an empty entry ends the walk', values: ['6.6.6.6, , 10.0.0.2'], expected: '10.0.0.2', hops: 1 },
  { name: 'unknown', values: ['6.6.6.6, unknown'], expected: '10.0.0.1', hops: 0 },
  { name: 'garbage stays with the last good', values: ['6.6.6.6, <script>, 10.0.0.2'], expected: '10.0.0.2', hops: 1 },
  { name: 'control characters and high bytes', values: ['\u0000\u00ff, \u0080'], expected: '10.0.0.1', hops: 0 },
  {
    name: 'a thousand own hops stop at the cap',
    values: [`6.6.6.6, ${many('10.0.0.2', 1000)}`],
    expected: '10.0.0.2',
    hops: 64,
  },
  { name: 'a thousand strange hops cost one', values: [many('6.6.6.6', 1000)], expected: '6.6.6.6', hops: 1 },
  { name: 'only commas', values: [','.repeat(5000)], expected: '10.0.0.1', hops: 0 },

  { name: 'Forwarded', header: 'forwarded', values: ['for=198.51.100.1'], expected: '198.51.100.1', hops: 1 },
  {
    name: 'Forwarded, all parameters',
    header: 'forwarded',
    values: ['By=10.0.0.1;FOR="198.51.100.1:4711";proto=https;host="a, \\"b;c"'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, IPv6',
    header: 'forwarded',
    values: ['for="[2001:db8::1]:_x1"'],
    expected: '2001:db8::1',
    hops: 1,
  },
  {
    name: 'Forwarded, a quoted pair',
    header: 'forwarded',
    values: ['for="198.51.100\\.1"'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, a value that ends in a backslash',
    header: 'forwarded',
    values: ['for=6.6.6.6, for=198.51.100.1;host="a\\\\"'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, blanks around',
    header: 'forwarded',
    values: [' for="198.51.100.1" ; proto=http ;'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, two proxies',
    header: 'forwarded',
    values: ['for=6.6.6.6,for=198.51.100.1', 'for=10.0.0.2;by="_us"'],
    expected: '198.51.100.1',
    hops: 2,
  },
  {
    name: 'Forwarded, empty elements are no hops',
    header: 'forwarded',
    values: ['for=198.51.100.1, ,, for=10.0.0.2,'],
    expected: '198.51.100.1',
    hops: 2,
  },
  {
    name: 'Forwarded, a quote left open does not swallow what our proxy said',
    header: 'forwarded',
    values: ['for="6.6.6.6, for=198.51.100.1'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, an escaped quote left open neither',
    header: 'forwarded',
    values: ['for="\\", for="198.51.100.1"'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, unknown',
    header: 'forwarded',
    values: ['for=6.6.6.6, for=unknown'],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, obfuscated',
    header: 'forwarded',
    values: ['for=6.6.6.6, for=_hidden'],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, no for',
    header: 'forwarded',
    values: ['for=6.6.6.6, proto=https'],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, for twice',
    header: 'forwarded',
    values: ['for=198.51.100.1;for=6.6.6.6'],
    expected: '10.0.0.1',
    hops: 0,
  },
  { name: 'Forwarded, no equals sign', header: 'forwarded', values: ['198.51.100.1'], expected: '10.0.0.1', hops: 0 },
  {
    name: 'Forwarded, junk after a quote',
    header: 'forwarded',
    values: ['for="198.51.100.1"x'],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, a quote never closed',
    header: 'forwarded',
    values: ['for="198.51.100.1'],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, a backslash at the end',
    header: 'forwarded',
    values: ['for="198.51.100.1\\'],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, __proto__',
    header: 'forwarded',
    values: ['__proto__=1;for=198.51.100.1'],
    expected: '198.51.100.1',
    hops: 1,
  },
  {
    name: 'Forwarded, a value of 16,000 octets',
    header: 'forwarded',
    values: [`for="${'9'.repeat(16_000)}"`],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, 16,000 backslashes',
    header: 'forwarded',
    values: [`for="${'\\'.repeat(16_000)}"`],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, 16,000 quotes',
    header: 'forwarded',
    values: ['"'.repeat(16_000)],
    expected: '10.0.0.1',
    hops: 0,
  },
  {
    name: 'Forwarded, empty elements count for the cap',
    header: 'forwarded',
    values: [`for=6.6.6.6${','.repeat(100)}`],
    expected: '10.0.0.1',
    hops: 0,
  },
];

t.test('the client is found from right to left, and no header makes it throw', (t) => {
  for (const c of CASES) {
    const peer = 'peer' in c ? c.peer : '10.0.0.1';
    const found = clientAddress(
      peer,
      parseTrusted(c.trusted ?? ['10.0.0.0/8']),
      c.header ?? 'x-forwarded-for',
      c.values,
    );
    t.strictSame(found, { address: c.expected, hops: c.hops }, c.name);
  }
  t.end();
});

t.test('no line of stray characters makes it throw or invents an address', (t) => {
  let seed = 20_817;
  const next = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  t.comment(`seed ${seed}`);
  const parts = [
    'for=',
    '"',
    '\\',
    ',',
    ';',
    '=',
    '[',
    ']',
    ':',
    '.',
    '10.0.0.2',
    '::1',
    '%',
    ' ',
    '\t',
    '\u0000',
    '\u00e9',
    '_',
    'by=x',
    '255',
  ];
  const trusted = parseTrusted(['private']);
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: next(14) }, () => parts[next(parts.length)]).join('');
    for (const header of ['forwarded', 'x-forwarded-for'] as const) {
      const { address } = clientAddress('10.0.0.1', trusted, header, [text]);
      const ip = parseIp(address ?? '');
      if (ip === undefined || writeIp(ip) !== address) t.fail(`${JSON.stringify(text)} gave ${address}`);
    }
  }
  t.end();
});
