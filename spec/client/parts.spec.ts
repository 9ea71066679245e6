// The pure parts of the client: addresses, texts of peers, chunked bodies, and the count of what has not left yet.

import t from 'tap';
import { cuttings } from '../../fixtures/rig/chunker.js';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { Dechunker } from '../../lib/client/dechunker.js';
import {
  type Destination,
  isSameOrigin,
  originOf,
  parseDestination,
  resolveLocation,
} from '../../lib/client/destination.js';
import { EventAttributes } from '../../lib/client/event-attributes.js';
import { parseProxy } from '../../lib/client/proxy.js';
import { readable } from '../../lib/client/readable.js';
import { Unsent } from '../../lib/client/unsent.js';

const rng = seedFromEnv('client parts');

const parsed = (url: string | URL): Destination => {
  const destination = parseDestination(url);
  if ('kind' in destination) throw new Error(`${url}: ${destination.detail}`);
  return destination;
};

t.test('a URL says where to connect to and what to ask for', async (t) => {
  const CASES: readonly (readonly [string | URL, string, string | undefined, string])[] = [
    ['ws://Example.org', 'ws://example.org/', undefined, 'ws://example.org'],
    ['wss://example.org:443/a?b=c', 'wss://example.org/a?b=c', undefined, 'wss://example.org'],
    ['ws://[::1]:8080?x', 'ws://[::1]:8080/?x', undefined, 'ws://[::1]:8080'],
    ['ws://bücher.example/ä', 'ws://xn--bcher-kva.example/%C3%A4', undefined, 'ws://xn--bcher-kva.example'],
    [new URL('ws://h/../a'), 'ws://h/a', undefined, 'ws://h'],
    ['ws+unix:/run/a.sock', 'ws://localhost/', '/run/a.sock', 'ws+unix:/run/a.sock'],
    ['wss+unix:/run/a.sock:/b?c', 'wss://localhost/b?c', '/run/a.sock', 'wss+unix:/run/a.sock'],
    ['ws+unix:///run/a%3Ab:/', 'ws://localhost/', '/run/a:b', 'ws+unix:/run/a:b'],
    [new URL('ws+unix:/run/a.sock:/x'), 'ws://localhost/x', '/run/a.sock', 'ws+unix:/run/a.sock'],
  ];
  for (const [url, href, path, origin] of CASES) {
    const destination = parsed(url);
    t.equal(destination.uri.href, href);
    t.equal(destination.socketPath, path);
    t.equal(originOf(destination), origin);
  }
});

t.test('a Location is resolved as a URL reference is', async (t) => {
  const CASES: readonly (readonly [from: string, location: string, to: string, same: boolean])[] = [
    ['ws://h/a/b?c', 'd', 'ws://h/a/d', true],
    ['ws://h/a/b?c', '?d', 'ws://h/a/b?d', true],
    ['ws://h/a/b', '/../d#e', 'ws://h/d', true],
    ['ws://h/a', 'http://h/b', 'ws://h/b', true],
    ['ws://h/a', 'http://h:80/b', 'ws://h/b', true],
    ['ws://h/a', 'https://h/b', 'wss://h/b', false],
    ['ws://h/a', 'http://h:81/b', 'ws://h:81/b', false],
    ['ws://h/a', '//g', 'ws://g/', false],
    ['wss://h/a', 'WSS://H/b', 'wss://h/b', true],
    ['ws+unix:/s:/a', 'b', 'ws://localhost/b', true],
    ['ws+unix:/s:/a', 'http://elsewhere/b', 'ws://elsewhere/b', false],
  ];
  for (const [from, location, href, same] of CASES) {
    const to = resolveLocation(location, parsed(from));
    if ('kind' in to) {
      t.fail(`${location}: ${to.detail}`);
      continue;
    }
    t.equal(to.uri.href, href);
    t.equal(isSameOrigin(parsed(from), to), same, `${from} -> ${location}`);
  }
  for (const location of ['http://', 'ftp://h/', 'ws://a:b@h/', 'ws://h:99999/', 'ws://h_/%zz']) {
    t.match(resolveLocation(location, parsed('ws://h/')), { code: 'WSD_DIAL_URL' }, location);
  }
});

t.test('a proxy is taken apart, and its login is not lost in escapes', async (t) => {
  const login = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  t.strictSame(parseProxy('http://p'), { secure: false, host: 'p', port: 80, authorization: undefined });
  t.strictSame(parseProxy('https://p'), { secure: true, host: 'p', port: 443, authorization: undefined });
  t.strictSame(parseProxy('http://[::1]:3128/'), { secure: false, host: '::1', port: 3128, authorization: undefined });
  t.equal(parseProxy('http://a:b@p').authorization, login('a:b'));
  t.equal(parseProxy('http://a%3Ab:%2F%20@p').authorization, login('a:b:/ '));
  t.equal(parseProxy('http://:b@p').authorization, login(':b'));
  for (const text of ['', 'p:3128', 'socks5://p', 'http://', 'ws://p']) t.throws(() => parseProxy(text), /proxy/);
});

t.test('the text of a peer becomes one line that moves nothing', async (t) => {
  t.equal(readable('a\tb\r\nc', 100), 'a\\tb\\r\\nc');
  t.equal(readable('\u001b[2J\u009b\u007f\u0000', 100), '\\u{1b}[2J\\u{9b}\\u{7f}\\u{0}');
  t.equal(readable('\u202e\u2028\ufeff\u200d\ud800', 100), '\\u{202e}\\u{2028}\\u{feff}\\u{200d}\\u{d800}');
  t.equal(readable('héllo 😀 世界', 100), 'héllo 😀 世界');
  t.equal(readable('😀😀😀', 2), '😀😀…');
  t.equal(readable('abc', 3), 'abc');
});

t.test('chunks are joined however they are cut, and nonsense ends them', async (t) => {
  const CASES: readonly (readonly [body: string, content: string, ended: boolean])[] = [
    ['5\r\nhello\r\n0\r\n\r\n', 'hello', true],
    ['a;x=y\r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n', '0123456789!', true],
    ['3\nabc\n0\n', 'abc', true],
    ['5\r\nhel', 'hel', false],
    ['2\r\nabc', 'ab', true],
    ['zz\r\nabc', '', true],
    ['fffffffffffffffffffff\r\nabc', 'abc', false],
  ];
  for (const [body, content, ended] of CASES) {
    for (const [way, chunks] of cuttings(Buffer.from(body), rng)) {
      const dechunker = new Dechunker();
      const text = Buffer.concat(chunks.map((chunk) => dechunker.receive(chunk, 1000))).toString();
      t.equal(text, content, `${JSON.stringify(body)} ${way}`);
      t.equal(dechunker.ended, ended);
    }
  }
  t.equal(Buffer.from(new Dechunker().receive(Buffer.from('5\r\nhello'), 2)).toString(), 'he');
});

t.test('what has left is not counted any more, and what never leaves is', async (t) => {
  const unsent = new Unsent();
  t.equal(unsent.amount(0), 0);
  unsent.sent(10, 16, 16);
  unsent.sent(1000, 30, 46); // compressed
  t.equal(unsent.amount(46), 1010);
  t.equal(unsent.amount(31), 1010, 'a part of the first is still there');
  t.equal(unsent.amount(30), 1000);
  unsent.sent(5, 11, 41);
  t.equal(unsent.amount(41), 1005);
  t.equal(unsent.amount(3), 5);
  unsent.lost(7);
  t.equal(unsent.amount(0), 7);
  t.equal(unsent.amount(0), 7);
});

t.test('an event attribute keeps its place when it is exchanged, and loses it when it is taken away', async (t) => {
  const target = new EventTarget();
  const attributes = new EventAttributes(target);
  const heard: string[] = [];
  const say = (what: string) => () => heard.push(what);
  const fire = (): string => {
    heard.length = 0;
    target.dispatchEvent(new Event('x'));
    return heard.join();
  };
  t.equal(attributes.get('x'), null);
  attributes.set('x', say('a'));
  target.addEventListener('x', say('b'));
  t.equal(fire(), 'a,b');
  attributes.set('x', say('c'));
  t.equal(fire(), 'c,b');
  attributes.set('x', 'not a function');
  t.equal(attributes.get('x'), null);
  t.equal(fire(), 'b');
  attributes.set('x', null);
  attributes.set('x', say('d'));
  t.equal(fire(), 'b,d');
  attributes.set('x', function (this: unknown) {
    heard.push(String(this === target));
  });
  t.equal(fire(), 'b,true');
});
