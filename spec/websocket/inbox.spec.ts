// One consumer, in order, a bounded number at a time: the inbox alone, with a port that writes down what is asked of it.
import t from 'tap';
import { Inbox, type InboxPort, type Message } from '../../lib/websocket/inbox.js';
import { KIND } from '../../lib/websocket/machine.js';

class Port implements InboxPort {
  readonly log: string[] = [];
  listening = true;
  reply: ((data: Message) => PromiseLike<unknown> | undefined) | undefined;
  deliver(data: Message): PromiseLike<unknown> | undefined {
    this.log.push(typeof data === 'string' ? data : `<${Buffer.from(data).toString('hex')}>`);
    return this.reply?.(data);
  }
  hasListener(): boolean {
    return this.listening;
  }
  hold(): void {
    this.log.push('hold');
  }
  release(): void {
    this.log.push('release');
  }
  failed(reason: unknown): void {
    this.log.push(`failed ${String(reason)}`);
  }
}

interface Rig {
  readonly port: Port;
  readonly inbox: Inbox;
  readonly say: (...texts: string[]) => void;
}

const rig = (more: { concurrency?: number; text?: 'string' | 'bytes'; lend?: boolean } = {}): Rig => {
  const port = new Port();
  const inbox = new Inbox(port, { concurrency: 1, text: 'string', lend: false, ...more });
  return {
    port,
    inbox,
    say: (...texts) => {
      for (const text of texts) {
        const bytes = Buffer.from(`((${text}))`);
        inbox.accept(bytes, 2, bytes.length - 2, KIND.text, false);
        bytes.fill(0);
      }
    },
  };
};

/** Promises that a spec settles by hand. */
const deferred = (): { promise: Promise<void>; done: () => void; failed: (why: Error) => void } => {
  let done = (): void => {};
  let failed: (why: Error) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    done = resolve;
    failed = reject;
  });
  return { promise, done, failed };
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('messages go to the listener as they come, as the string or the bytes they are', async (t) => {
  const { port, inbox, say } = rig();
  say('a', '\u20ac');
  const bytes = Buffer.from([1, 2, 3, 4]);
  inbox.accept(bytes, 1, 3, KIND.binary, false);
  inbox.accept(Buffer.from('zz'), 0, 2, KIND.ascii, false);
  t.strictSame(port.log, ['a', '\u20ac', '<0203>', 'zz']);
  const raw = rig({ text: 'bytes' });
  raw.say('ab');
  t.strictSame(raw.port.log, ['<6162>']);
});

t.test('bytes are copied, unless they were given away or are only lent', async (t) => {
  const take = (lend: boolean, owned: boolean, waiting = false): boolean => {
    const { port, inbox } = rig({ lend });
    const bytes = Buffer.from([1, 2, 3]);
    let got: Message = '';
    port.reply = (data): undefined => {
      got = data;
    };
    if (waiting) port.listening = false;
    inbox.accept(bytes, 0, 3, KIND.binary, owned);
    port.listening = true;
    inbox.pump();
    bytes[0] = 9;
    return (got as unknown as Uint8Array)[0] === 9;
  };
  t.notOk(take(false, false));
  t.ok(take(false, true));
  t.ok(take(true, false));
  t.notOk(take(true, false, true), 'what has to wait is copied all the same');
});

t.test('without a consumer messages wait, and none is lost', async (t) => {
  const { port, inbox, say } = rig();
  port.listening = false;
  say('1', '2');
  t.strictSame(port.log, []);
  port.listening = true;
  say('3');
  t.strictSame(port.log, ['1', '2', '3']);
  inbox.pump();
  t.equal(port.log.length, 3);
});

t.test('too many or too large for the queue: the machine is held, and released when most of it is gone', async (t) => {
  const { port, inbox, say } = rig();
  port.listening = false;
  for (let i = 0; i < 127; i++) say(String(i));
  t.strictSame(port.log, []);
  say('127');
  t.strictSame(port.log, ['hold']);
  say('128');
  port.listening = true;
  inbox.pump();
  t.strictSame(port.log.slice(1), [...Array.from({ length: 129 }, (_, i) => String(i)), 'release']);
  const large = rig();
  large.port.listening = false;
  large.say('x'.repeat(200_000));
  t.strictSame(large.port.log, []);
  large.say('y'.repeat(70_000));
  t.strictSame(large.port.log, ['hold']);
});

for (const concurrency of [1, 3]) {
  t.test(`no more than ${concurrency} asynchronous handlers are at work, and they begin in order`, async (t) => {
    const { port, inbox, say } = rig({ concurrency });
    const open: (() => void)[] = [];
    port.reply = () => {
      const { promise, done } = deferred();
      open.push(done);
      return promise;
    };
    say('1', '2', '3', '4', '5');
    t.strictSame(port.log, ['1', '2', '3', '4', '5'].slice(0, concurrency));
    for (let began = concurrency; began < 5; began++) {
      open.shift()?.();
      await turn();
      t.equal(port.log.length, began + 1);
    }
    t.strictSame(port.log, ['1', '2', '3', '4', '5']);
    inbox.end(() => port.log.push('end'));
    t.equal(port.log.at(-1), 'end');
  });
}

t.test('a handler that rejects is told, and the next message comes', async (t) => {
  const { port, say } = rig();
  port.reply = (data) => (data === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve());
  say('bad', 'good');
  await turn();
  t.strictSame(port.log, ['bad', 'failed Error: no', 'good']);
});

t.test('paused: what comes waits; resumed: in order, and never inside the handler that resumes', async (t) => {
  const { port, inbox, say } = rig();
  inbox.pause();
  t.ok(inbox.paused);
  say('1', '2', '3');
  t.strictSame(port.log, [], 'a few may wait without the machine being held');
  inbox.pump();
  t.strictSame(port.log, []);
  let depth = 0;
  let deepest = 0;
  port.reply = (): undefined => {
    deepest = Math.max(deepest, ++depth);
    inbox.pause();
    inbox.resume();
    depth--;
  };
  inbox.resume();
  t.notOk(inbox.paused);
  await turn();
  t.strictSame(port.log, ['release'], 'it asks to be pumped, and delivers nothing by itself');
  inbox.pump();
  t.strictSame(port.log, ['release', '1', 'release', '2', 'release', '3', 'release']);
  t.equal(deepest, 1);
  inbox.resume();
  t.equal(port.log.length, 7, 'who was not paused is not resumed');
});

t.test('paused: the machine is held when much waits, not before', async (t) => {
  for (const [text, most] of [
    ['x', 128],
    ['y'.repeat(64 * 1024), 4],
  ] as const) {
    const { port, inbox, say } = rig();
    inbox.pause();
    for (let i = 1; i < most; i++) say(text);
    t.strictSame(port.log, []);
    say(text);
    t.strictSame(port.log, ['hold'], `${most} messages of ${text.length}`);
    say(text);
    t.strictSame(port.log, ['hold'], 'once');
    inbox.resume();
    t.strictSame(port.log, ['hold', 'release']);
    inbox.pump();
    t.equal(port.log.length, 2 + most + 1);
    t.equal(port.log.lastIndexOf('release'), 1, 'and released once');
    inbox.pause();
    for (let i = 0; i < most; i++) say(text);
    t.equal(port.log.at(-1), 'hold', 'and held again');
  }
});

t.test('when we close, what is too much to keep is dropped, and the rest is not', async (t) => {
  const { port, inbox, say } = rig();
  port.listening = false;
  for (let i = 0; i < 128; i++) say(String(i));
  inbox.close();
  for (let i = 128; i < 140; i++) say(String(i));
  port.listening = true;
  inbox.pump();
  t.strictSame(port.log, ['hold', ...Array.from({ length: 128 }, (_, i) => String(i)), 'release']);
  say('after');
  t.equal(port.log.at(-1), 'after', 'with room again, it is delivered as ever');
});

t.test('a handler that pauses and resumes has no second one beside it', async (t) => {
  const { port, inbox, say } = rig();
  port.listening = false;
  say('1', '2', '3');
  port.listening = true;
  let running = 0;
  let most = 0;
  port.reply = async () => {
    most = Math.max(most, ++running);
    inbox.pause();
    inbox.resume();
    await turn();
    running--;
  };
  inbox.pump();
  for (let i = 0; i < 10; i++) await turn();
  t.strictSame(
    port.log.filter((line) => line.length === 1),
    ['1', '2', '3'],
  );
  t.equal(most, 1);
});

t.test('a handler may return anything that can be awaited, however it behaves', async (t) => {
  type Then = (done: () => void, failed: (reason: unknown) => void) => void;
  const odd: readonly (readonly [string, Then, string[]])[] = [
    [
      'throws',
      () => {
        throw new Error('ours');
      },
      ['failed Error: ours'],
    ],
    ['calls back at once', (done) => done(), []],
    ['calls back twice', (done) => [done(), done()], []],
    ['fulfils and rejects', (done, failed) => [done(), failed(new Error('late'))], []],
    ['rejects at once', (_done, failed) => failed(new Error('no')), ['failed Error: no']],
  ];
  for (const [name, then, said] of odd) {
    const { port, inbox, say } = rig();
    let working = 0;
    port.reply = (data) => {
      if (data === 'odd') return { then } as PromiseLike<unknown>;
      working++;
      return new Promise(() => {});
    };
    say('odd');
    await turn();
    say('1', '2');
    await turn();
    t.strictSame(port.log, ['odd', ...said, '1'], name);
    t.equal(working, 1, `${name}: one at a time, as before`);
    inbox.discard();
  }
});

t.test('an iterator that is stopped takes no message with it', async (t) => {
  const { port, inbox, say } = rig();
  const first = inbox.iterate();
  const second = inbox.iterate();
  const pending = [first.next(), second.next(), first.next()];
  t.strictSame(await first.return?.(), { value: undefined, done: true });
  t.strictSame(await pending[0], { value: undefined, done: true }, 'what it waited for is over');
  t.strictSame(await pending[2], { value: undefined, done: true });
  say('1', '2');
  t.strictSame(await pending[1], { value: '1', done: false }, 'who still waits gets the next one');
  await second.return?.();
  t.strictSame(port.log, ['2'], 'and the listener what nobody waits for');
  const third = inbox.iterate();
  const last = third.next();
  inbox.end(() => port.log.push('end'));
  t.strictSame(await last, { value: undefined, done: true });
  t.strictSame(port.log, ['2', 'end']);
});

t.test('an iterator gets the messages one by one, before any listener', async (t) => {
  const { port, inbox, say } = rig();
  const iterator = inbox.iterate();
  say('1', '2');
  t.strictSame(await iterator.next(), { value: '1', done: false });
  t.strictSame(await iterator.next(), { value: '2', done: false });
  const third = iterator.next();
  const fourth = iterator.next();
  say('3', '4');
  t.strictSame(
    [await third, await fourth].map((result) => result.value),
    ['3', '4'],
  );
  t.strictSame(port.log, []);
  say('5');
  await iterator.return?.();
  await iterator.return?.();
  t.strictSame(port.log, ['5'], 'what it leaves goes to the listener');
  t.strictSame(await iterator.next(), { value: undefined, done: true });
  t.equal(iterator[Symbol.asyncIterator](), iterator);
});

t.test('an iterator that nobody asks holds the machine at the bound', async (t) => {
  const { port, inbox, say } = rig();
  const iterator = inbox.iterate();
  for (let i = 0; i < 130; i++) say(String(i));
  t.strictSame(port.log, ['hold']);
  for (let i = 0; i < 130; i++) t.equal((await iterator.next()).value, String(i));
  t.strictSame(port.log, ['hold', 'release']);
});

t.test('the end comes after the last message, once, and ends the iterators', async (t) => {
  const { port, inbox, say } = rig();
  const [iterator, other] = [inbox.iterate(), inbox.iterate()];
  say('1', '2');
  inbox.end(() => port.log.push('end'));
  t.strictSame(port.log, []);
  t.equal((await iterator.next()).value, '1');
  t.strictSame(port.log, []);
  t.equal((await other.next()).value, '2');
  t.strictSame(port.log, ['end']);
  t.strictSame([(await iterator.next()).done, (await other.next()).done], [true, true]);
  inbox.pump();
  inbox.discard();
  t.strictSame(port.log, ['end']);

  const waiting = rig();
  const pending = waiting.inbox.iterate().next();
  waiting.inbox.end(() => waiting.port.log.push('end'));
  t.strictSame(await pending, { value: undefined, done: true });
});

t.test('at the end, what waits for a consumer is kept until it comes or is given up', async (t) => {
  const { port, inbox, say } = rig();
  port.listening = false;
  say('1');
  inbox.end(() => port.log.push('end'));
  inbox.pump();
  t.strictSame(port.log, [], 'nobody is there yet');
  port.listening = true;
  inbox.pump();
  t.strictSame(port.log, ['1', 'end'], 'the first message is never lost');
  t.equal(inbox.delivered, 1);

  const nobody = rig();
  nobody.port.listening = false;
  nobody.say('1', '2');
  nobody.inbox.end(() => nobody.port.log.push('end'));
  nobody.inbox.discard();
  nobody.port.listening = true;
  nobody.inbox.pump();
  t.strictSame(nobody.port.log, ['end'], 'nobody came');
  t.equal(nobody.inbox.delivered, 0);

  const leaves = rig();
  leaves.port.listening = false;
  const iterator = leaves.inbox.iterate();
  leaves.say('1', '2', '3');
  leaves.inbox.end(() => leaves.port.log.push('end'));
  t.equal((await iterator.next()).value, '1');
  await iterator.return?.();
  t.strictSame(leaves.port.log, [], 'the consumer left before its last message');
  const second = leaves.inbox.iterate();
  t.equal((await second.next()).value, '2', 'another may come');
  t.equal(leaves.inbox.delivered, 2);
  await second.return?.();
  leaves.inbox.discard();
  t.strictSame(leaves.port.log, ['end']);

  const paused = rig();
  paused.inbox.pause();
  paused.say('1', '2');
  paused.inbox.end(() => paused.port.log.push('end'));
  t.strictSame(paused.port.log, ['1', '2', 'end'], 'the end undoes a pause');
  t.notOk(paused.inbox.paused);

  const stuck = rig();
  stuck.port.reply = () => new Promise(() => {});
  stuck.say('1', '2');
  stuck.inbox.end(() => stuck.port.log.push('end'));
  t.strictSame(stuck.port.log, ['1']);
  stuck.inbox.discard();
  t.strictSame(stuck.port.log, ['1', 'end'], 'or it never comes back');
});
