// Listeners of a server's events that throw or reject: what they were told about pays for it, everything else goes on, and nothing is thrown.
import { once } from 'node:events';
import t from 'tap';
import { connect, createServer, type Server, type Session, type WsdError } from '../../lib/index.js';

const BOOM = new Error('boom');
const FAILURES: readonly (readonly [how: string, fail: () => unknown])[] = [
  [
    'throws',
    () => {
      throw BOOM;
    },
  ],
  ['rejects', () => Promise.reject(BOOM)],
];
const clear = { packets: { mode: 'none' } } as const;
const open = async (server: Server): Promise<Session> => connect((await server.listen()).url, clear);

for (const [how, fail] of FAILURES) {
  t.test(`a listener of 'session' that ${how} ends that session, and the next one is as usual`, async (t) => {
    const server = createServer(clear);
    t.teardown(() => server.close({ drain: 100 }));
    const errors: unknown[] = [];
    let first = true;
    server.on('error', (error) => errors.push(error));
    server.on('session', (session) => {
      session.on('error', (error) => errors.push(error));
      session.on('message', (data) => void session.send(data));
      if (!first) return;
      first = false;
      return fail() as undefined;
    });
    const ended = await (await open(server)).closed;
    t.match(ended, { code: '2.0 DISCONNECT', by: 'remote' });
    t.strictSame(errors, [BOOM], 'told to the session alone, once');
    const session = await open(server);
    t.equal(await session.send('still here'), 'acknowledged');
    await session.close();
  });

  t.test(`a listener of 'refusedSession' that ${how} is an 'error' of the server`, async (t) => {
    const server = createServer({ packets: { mode: 'none', maxSessions: 1 } });
    t.teardown(() => server.close({ drain: 100 }));
    server.on('refusedSession', () => fail() as undefined);
    const session = await open(server);
    const [[error]] = await Promise.all([
      once(server, 'error'),
      open(server).then(
        (other) => other.close(),
        (reason: WsdError) => reason.code,
      ),
    ]);
    t.equal(error, BOOM);
    t.equal(server.counters()['errors'], 1);
    t.equal(session.state, 'open');
    await session.close();
  });
}
