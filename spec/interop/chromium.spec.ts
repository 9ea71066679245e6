// A real browser against the real executable, and against a server that serves the page as well. Needs Chromium.

import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { need } from '../../fixtures/rig/need.js';
import { createServer, type Outcome } from '../../lib/index.js';
import { startDaemon } from './daemon.js';

t.setTimeout(50_000);

/** What runs in the page: opens, says each message and hears it, closes, and tells all that a page can see. */
const PROGRAM = `async ({ url, protocols, close, messages }) => {
  const seen = { heard: [], kinds: [] };
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  const closed = new Promise((done) => socket.addEventListener('close', done));
  const opened = new Promise((done) => socket.addEventListener('open', () => done(true)));
  seen.opened = await Promise.race([opened, closed.then(() => false)]);
  seen.extensions = socket.extensions;
  seen.protocol = socket.protocol;
  if (seen.opened) {
    for (const [text, size, binary] of messages) {
      const body = text.repeat(size);
      const next = new Promise((done) => socket.addEventListener('message', (event) => done(event.data), { once: true }));
      socket.send(binary ? new TextEncoder().encode(body) : body);
      const data = await Promise.race([next, closed]);
      seen.kinds.push(typeof data === 'string' ? 'text' : data instanceof ArrayBuffer ? 'binary' : 'closed');
      const back = typeof data === 'string' ? data : data instanceof ArrayBuffer ? new TextDecoder().decode(data) : undefined;
      seen.heard.push(back === body);
    }
    if (close !== undefined) socket.close(...close);
  }
  const { code, reason, wasClean } = await closed;
  return { ...seen, code, reason, wasClean };
}`;

interface Seen {
  readonly opened: boolean;
  readonly heard: readonly boolean[];
  readonly kinds: readonly string[];
  readonly extensions: string;
  readonly protocol: string;
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

type Said = readonly [text: string, times: number, binary: boolean];
const MESSAGES: readonly Said[] = [
  ['', 0, false],
  ['', 0, true],
  ['héllo €', 1, false],
  ['ab', 63, true],
  ['ä', 32_768, false],
  ['0123456789abcdef', 65_536, true],
  ['0123456789abcdef', 65_536, false],
];

const visit = async (
  page: Page,
  url: string,
  { close = [1000, ''], messages = MESSAGES, protocols = [] }: Partial<Visit> = {},
): Promise<Seen> => {
  const program = `(${PROGRAM})(${JSON.stringify({ url, close: close === 'no' ? undefined : close, messages, protocols })})`;
  return (await page.evaluate(program)) as Seen;
};
interface Visit {
  readonly close: readonly [code?: number, reason?: string] | 'no';
  readonly messages: readonly Said[];
  readonly protocols: readonly string[];
}

const launch = async (t: Test): Promise<Browser | undefined> => {
  const executablePath = need(t, 'chromium');
  if (executablePath === undefined) return undefined;
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  t.teardown(() => browser.close());
  return browser;
};

t.test('a page in Chromium talks to wsd', async (t) => {
  const browser = await launch(t);
  if (browser === undefined) return;

  await t.test('with the executable, from a page of an origin it was told', async (t) => {
    const http = createHttpServer((_request, response) => {
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>a page</title>');
    });
    await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
    t.teardown(() => {
      http.close();
      http.closeAllConnections();
    });
    const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const daemon = await startDaemon(t, '--origin', origin, '--subprotocol', 'two');
    const page = await browser.newPage();
    await page.goto(origin);
    const all = {
      opened: true,
      heard: MESSAGES.map(() => true),
      kinds: MESSAGES.map(([, , b]) => (b ? 'binary' : 'text')),
    };
    const seen = await visit(page, daemon.url, { protocols: ['one', 'two'] });
    t.match(seen, { ...all, protocol: 'two', code: 1000, reason: '', wasClean: true });
    t.match(seen.extensions, /^permessage-deflate/);
    const closes: readonly (readonly [Visit['close'], number])[] = [
      [[], 1005],
      [[1000, 'göödbye'], 1000],
      [[3000, 'x'.repeat(123)], 3000],
      [[4999, ''], 4999],
    ];
    for (const [close, code] of closes) {
      const one = await visit(page, daemon.url, { close, messages: [['a', 1, false]], protocols: ['two'] });
      t.match(one, { opened: true, code, reason: '', wasClean: true }, `close(${close})`);
    }
    // A browser closes when none of its subprotocols is taken; nothing of the page is at fault.
    t.match(await visit(page, daemon.url, { protocols: ['three'] }), { opened: false, code: 1006, wasClean: false });

    const wrong = new URL(origin);
    wrong.hostname = 'localhost';
    await page.goto(wrong.href);
    t.match(await visit(page, daemon.url), { opened: false, code: 1006, wasClean: false }, 'another origin');
    t.match(await daemon.stop(), /origin/i, 'which the log tells');
  });

  await t.test('with the server that the page came from, which closes', async (t) => {
    const outcomes: Outcome[] = [];
    const server = createServer({ deflate: true }, (connection) => {
      connection.on('close', (outcome) => outcomes.push(outcome));
      connection.on('message', (data, binary) => {
        if (data === 'close me') void connection.close(4001, 'as you like');
        else if (data === 'fail me') throw new Error('a mistake');
        else connection.send(data, { binary });
      });
    });
    t.teardown(() => server.close({ drain: 20 }));
    server.on('request', (request) =>
      request.respond({
        status: 200,
        headers: { 'Content-Type': 'text/html; charset=utf-8' },
        body: '<!doctype html><title>é</title>',
      }),
    );
    const { url } = await server.listen();
    const page = await browser.newPage();
    await page.goto(url.replace(/^ws/, 'http'));
    t.equal(await page.title(), 'é');
    const seen = await visit(page, url);
    t.match(seen, { opened: true, heard: MESSAGES.map(() => true), code: 1000, wasClean: true });
    t.match(await visit(page, url, { close: 'no', messages: [['close me', 1, false]] }), {
      code: 4001,
      reason: 'as you like',
      wasClean: true,
    });
    t.match(await visit(page, url, { close: 'no', messages: [['fail me', 1, false]] }), { code: 1011, wasClean: true });

    const [connection] = await Promise.all([
      new Promise<{ ping(): Promise<number> }>((done) => server.once('connection', done)),
      page.evaluate(`void (globalThis.left = new WebSocket(${JSON.stringify(url)}))`),
    ]);
    t.ok((await connection.ping()) >= 0, 'it answers pings');
    const left = outcomes.length;
    await page.close();
    while (outcomes.length === left) await new Promise((done) => setTimeout(done, 5));
    t.match(outcomes.at(-1), { code: 1001, initiator: 'remote' }, 'a page that is closed says so');
    t.equal(server.counters()['opened'], 4);
  });
});
