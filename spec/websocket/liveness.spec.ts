// Times as numbers: nothing here waits.
import t from 'tap';
import { Liveness } from '../../lib/websocket/liveness.js';
import type { ConnectionSettings } from '../../lib/websocket/settings.js';
import { SETTINGS } from './pair.js';

const make = (settings: Partial<ConnectionSettings>): Liveness =>
  new Liveness({ ...SETTINGS, messageTimeout: 10_000, ...settings }, 1_000);

t.test('a silent peer is pinged after the interval, once, and is dead after the timeout', async (t) => {
  const live = make({ pingInterval: 100, pingTimeout: 50 });
  t.equal(live.deadline(), 1_100);
  t.equal(live.tick(1_099, true), undefined);
  t.equal(live.tick(1_100, true), 'ping');
  t.equal(live.deadline(), 1_150);
  t.equal(live.tick(1_149, true), undefined, 'no second ping');
  t.equal(live.tick(1_150, true), 'WSD_PEER_SILENT');
});

t.test('any octet is a sign of life, not only a Pong', async (t) => {
  const live = make({ pingInterval: 100, pingTimeout: 50 });
  live.heard(1_099);
  t.equal(live.deadline(), 1_199);
  t.equal(live.tick(1_199, true), 'ping');
  live.heard(1_200);
  t.equal(live.tick(1_250, true), undefined);
  t.equal(live.deadline(), 1_300, 'and the interval begins again');
});

t.test('a connection without messages is closed after the idle time, whatever else comes', async (t) => {
  const live = make({ idleTimeout: 500, pingInterval: 200 });
  for (let now = 1_100; now < 1_500; now += 100) live.heard(now);
  t.equal(live.tick(1_499, true), undefined);
  t.equal(live.tick(1_500, true), 'WSD_PEER_IDLE');
  const busy = make({ idleTimeout: 500 });
  busy.message(1_400);
  t.equal(busy.tick(1_500, true), undefined);
  t.equal(busy.deadline(), 1_900);
});

t.test('a message has its time from the first frame to the last', async (t) => {
  const live = make({ messageTimeout: 300 });
  live.messageBegan(1_000);
  live.heard(1_299);
  t.equal(live.deadline(), 1_300);
  t.equal(live.tick(1_300, true), 'WSD_MESSAGE_AGE');
  live.messageEnded();
  t.equal(live.tick(1_400, true), undefined);
  t.equal(live.deadline(), Infinity, 'without intervals there is nothing to wait for');
});

t.test('while we do not read, silence is not judged, but pings go out', async (t) => {
  const live = make({ pingInterval: 100, pingTimeout: 50 });
  t.strictSame(
    [1_099, 1_100, 1_101, 1_150, 1_199, 1_200, 5_000].map((now) => live.tick(now, true, true)),
    [undefined, 'ping', undefined, undefined, undefined, 'ping', 'ping'],
    'one each interval, so that a peer that is gone is found out by writing',
  );
  t.equal(live.deadline(), 5_100);
  t.equal(live.tick(5_099, true, false), undefined, 'read again, it has a whole interval');
  t.equal(live.tick(5_100, true, false), 'ping');
  t.equal(live.tick(5_149, true, false), undefined);
  t.equal(live.tick(5_150, true, false), 'WSD_PEER_SILENT');
  const asked = make({ pingInterval: 100, pingTimeout: 50 });
  t.equal(asked.tick(1_100, true, false), 'ping');
  t.not(asked.tick(1_150, true, true), 'WSD_PEER_SILENT', 'the answer may lie unread');
  t.not(asked.tick(1_151, true, false), 'WSD_PEER_SILENT', 'nor is it missed at once when we read on');
  t.equal(make({}).tick(9e9, true, true), undefined, 'without an interval there are no pings');
  t.equal(live.tick(9e9, false, true), undefined, 'nor on a connection that is closing');
});

t.test('while we do not read, a message does not grow old', async (t) => {
  const live = make({ messageTimeout: 300 });
  live.messageBegan(1_000);
  t.equal(live.tick(1_300, true, true), undefined);
  t.equal(live.deadline(), 1_600);
  t.equal(live.tick(1_600, true, true), undefined);
  t.equal(live.tick(1_899, true, false), undefined);
  t.equal(live.tick(1_900, true, false), 'WSD_MESSAGE_AGE');
  const idle = make({ messageTimeout: 300 });
  t.equal(idle.tick(2_000, true, true), undefined);
  t.equal(idle.deadline(), Infinity, 'and none begins by being held');
});

t.test('the closing deadline is set once and moved by nothing', async (t) => {
  const live = make({ closeTimeout: 1_000, pingInterval: 100, idleTimeout: 100 });
  live.messageBegan(1_000);
  t.notOk(live.overdue(9e9));
  live.closing(2_000);
  live.heard(2_500);
  live.message(2_500);
  live.closing(2_900, 50_000);
  t.equal(live.deadline(), 3_000);
  t.equal(live.tick(9e9, false), undefined, 'a closing connection is neither pinged nor idle');
  t.notOk(live.overdue(2_999));
  t.ok(live.overdue(3_000));
  const quick = make({});
  quick.closing(2_000, 10);
  t.equal(quick.deadline(), 2_010, 'or with a time of its own');
});

t.test('the allowance refills with time, up to the burst', async (t) => {
  const live = make({ rate: { perSecond: 10, burst: 3 } });
  const take = (now: number): boolean => live.count(now);
  t.strictSame([take(1_000), take(1_000), take(1_000), take(1_000)], [true, true, true, false]);
  t.equal(take(1_050), false, 'half of one');
  t.equal(take(1_101), true);
  t.equal(take(1_101), false);
  t.strictSame(
    [take(60_000), take(60_000), take(60_000), take(60_000)],
    [true, true, true, false],
    'no more than the burst',
  );
  t.ok(Array.from({ length: 1000 }, () => make({}).count(0)).every(Boolean), 'without a rate nothing is counted');
});
