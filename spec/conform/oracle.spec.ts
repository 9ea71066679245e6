// The judge is judged first: an endpoint that does everything right passes every case, and every way of being wrong is caught by the
// cases that are there to catch it. All in memory, on a virtual clock.
import t from 'tap';
import type { Case } from '../../lib/conform/case.js';
import { loadCases } from '../../lib/conform/catalogue.js';
import { isSelected, parsePatterns } from '../../lib/conform/select.js';
import { type Flaws, play } from './testee.js';

const cases = loadCases();
const chosen = (patterns: string): Case[] => cases.filter((c) => isSelected(parsePatterns(patterns), c.id));
const byName = (id: string): Case => cases.find((c) => c.id === id) as Case;
const grade = (id: string, flaws: Flaws, testee: 'server' | 'client' = 'server'): string => {
  const { behavior, behaviorClose } = play(byName(id), testee, flaws);
  return `${behavior} / ${behaviorClose}`;
};

const PLAIN = chosen('!9.*,!12.*,!13.*');

for (const testee of ['server', 'client'] as const) {
  t.test(`a ${testee} that does everything right passes every case`, async (t) => {
    for (const test of [...PLAIN, ...chosen('9.*')]) {
      const result = play(test, testee);
      const want = test.always ?? 'OK';
      if (result.behavior !== want || result.behaviorClose !== want)
        t.fail(`${test.id}: ${result.behavior}, ${result.behaviorClose}: ${result.seen}`);
    }
    t.equal(PLAIN.length + chosen('9.*').length, 301);
  });

  t.test(`the verdict on a ${testee} does not depend on how its bytes are cut`, async (t) => {
    for (const test of PLAIN) {
      const whole = play(test, testee);
      const cut = play(test, testee, {}, 1);
      if (whole.seen !== cut.seen || whole.verdict !== cut.verdict) t.fail(`${test.id}: ${whole.seen} <> ${cut.seen}`);
    }
    t.pass();
  });
}

t.test('compression that is not agreed on is not implemented, and no failure of anything else', async (t) => {
  for (const test of chosen('12.1.1,13.7.18')) {
    const { behavior, behaviorClose, verdict } = play(test, 'server');
    t.same([behavior, behaviorClose, verdict], ['UNIMPLEMENTED', 'OK', 'unimplemented']);
  }
});

interface Sin {
  readonly name: string;
  readonly flaws: Flaws;
  /** Case → the grades it must get. */
  readonly grades: Readonly<Record<string, string>>;
  /** Cases that this flaw must not touch. */
  readonly spared?: string;
}

const OK = 'OK / OK';
const SINS: readonly Sin[] = [
  {
    name: 'answers with the wrong type',
    flaws: { wrongType: true },
    grades: {
      '1.1.2': 'FAILED / WRONG CODE',
      '1.2.8': 'FAILED / WRONG CODE',
      '5.19': 'FAILED / OK',
      '9.1.1': 'FAILED / OK',
      '9.7.2': 'FAILED / OK',
    },
    spared: '2.*,4.1.1,7.7.*',
  },
  {
    name: 'loses a byte of every message',
    flaws: { shortens: true },
    grades: {
      '1.1.2': 'FAILED / WRONG CODE',
      '6.2.1': 'FAILED / OK',
      '9.2.1': 'FAILED / OK',
      '9.8.3': 'FAILED / OK',
      '10.1.1': 'FAILED / WRONG CODE',
    },
    spared: '1.1.1,2.*,7.3.*',
  },
  {
    name: 'answers nothing',
    flaws: { echoesNothing: true },
    grades: {
      '1.1.1': 'FAILED / WRONG CODE',
      '6.5.1': 'FAILED / WRONG CODE',
      '9.1.1': 'FAILED / OK',
      '9.7.1': 'FAILED / OK',
      '3.2': 'NON-STRICT / OK',
    },
    spared: '2.*,6.6.1,7.7.*',
  },
  {
    name: 'answers everything twice',
    flaws: { echoesTwice: true },
    grades: { '1.1.2': 'FAILED / OK', '5.3': 'FAILED / OK', '7.1.1': 'FAILED / OK' },
    spared: '2.*,7.3.*',
  },
  {
    name: 'never answers a Close',
    flaws: { noClose: true },
    grades: {
      '1.1.2': 'OK / UNCLEAN',
      '2.1': 'OK / UNCLEAN',
      '7.3.1': 'OK / UNCLEAN',
      '7.3.2': 'OK / FAILED BY CLIENT',
      '7.7.1': 'OK / UNCLEAN',
      '7.9.1': 'OK / FAILED BY CLIENT',
      '9.1.1': 'OK / UNCLEAN',
    },
    spared: '3.*,6.6.1',
  },
  {
    name: 'answers a Close two seconds late',
    flaws: { lateClose: 2000 },
    grades: { '1.1.2': 'OK / UNCLEAN', '7.3.3': 'OK / UNCLEAN', '7.7.5': 'OK / UNCLEAN' },
  },
  { name: 'answers a Close after half a second', flaws: { lateClose: 500 }, grades: { '1.1.2': OK, '7.3.3': OK } },
  {
    name: 'as a server never ends TCP',
    flaws: { keepsTcp: true },
    grades: {
      '1.1.2': 'OK / UNCLEAN',
      '7.3.3': 'OK / UNCLEAN',
      '3.1': 'OK / FAILED BY CLIENT',
      '6.6.1': 'OK / FAILED BY CLIENT',
      '6.4.1': 'OK / FAILED BY CLIENT',
    },
  },
  {
    name: 'ends TCP without a Close',
    flaws: { noCloseFrame: true },
    grades: { '1.1.2': 'OK / UNCLEAN', '7.7.1': 'OK / UNCLEAN', '3.1': OK, '6.3.1': OK, '7.3.2': OK, '7.9.1': OK },
  },
  {
    name: 'closes with a code of its own',
    flaws: { closeCode: 4000 },
    grades: {
      '1.1.2': 'OK / WRONG CODE',
      '3.1': 'OK / WRONG CODE',
      '6.3.1': 'OK / WRONG CODE',
      '7.3.1': 'FAILED / WRONG CODE',
      '7.7.1': 'FAILED / WRONG CODE',
      '7.9.1': 'FAILED / WRONG CODE',
    },
    spared: '7.7.12',
  },
  {
    name: 'closes with a code that must not travel',
    flaws: { closeCode: 1005 },
    grades: { '1.1.2': 'OK / UNCLEAN', '3.1': 'OK / FAILED' },
  },
  {
    name: 'takes any text',
    flaws: { anyText: true },
    grades: {
      '6.3.1': 'FAILED / FAILED',
      '6.4.1': 'FAILED / FAILED',
      '6.6.1': 'FAILED / FAILED',
      '6.21.8': 'FAILED / FAILED',
    },
    spared: '6.1.*,6.2.*,6.22.*',
  },
  {
    name: 'judges text at its end only',
    flaws: { lateText: true },
    grades: {
      '6.4.1': 'NON-STRICT / OK',
      '6.4.2': 'NON-STRICT / OK',
      '6.4.3': 'NON-STRICT / OK',
      '6.4.4': 'NON-STRICT / OK',
      '6.3.2': OK,
      '6.6.1': OK,
    },
  },
  {
    name: 'never answers a ping',
    flaws: { noPong: true },
    grades: { '2.1': 'FAILED / OK', '2.10': 'FAILED / OK', '5.6': 'FAILED / OK' },
    spared: '2.5,2.7,1.*',
  },
  {
    name: 'answers pings with nothing in them',
    flaws: { emptyPong: true },
    grades: { '2.1': OK, '2.2': 'FAILED / OK', '5.8': 'FAILED / OK' },
  },
  {
    name: 'answers pings in the wrong order',
    flaws: { pongsReversed: true },
    grades: { '2.1': OK, '2.10': 'FAILED / OK' },
  },
  {
    name: 'does not look at frames',
    flaws: { careless: true },
    grades: {
      '2.5': 'OK / FAILED',
      '3.1': 'FAILED / FAILED',
      '4.1.1': 'OK / FAILED',
      '5.1': 'FAILED / FAILED',
      '5.9': 'FAILED / FAILED',
      '5.18': 'FAILED / FAILED',
    },
    spared: '1.*,2.1',
  },
  {
    name: 'goes on after a Close',
    flaws: { livesOn: true, keepsTcp: true },
    grades: { '7.1.3': 'FAILED / UNCLEAN', '7.1.4': 'FAILED / UNCLEAN' },
  },
  {
    name: 'masks the wrong way round',
    flaws: { wrongMask: true },
    grades: { '1.1.2': 'FAILED / UNCLEAN', '2.1': 'FAILED / UNCLEAN', '7.3.3': 'OK / UNCLEAN', '3.1': 'OK / FAILED' },
  },
  {
    name: 'sets a reserved bit',
    flaws: { reservedBit: true },
    grades: { '1.2.2': 'FAILED / UNCLEAN', '2.2': 'FAILED / UNCLEAN', '6.3.1': 'FAILED / FAILED' },
  },
  {
    name: 'talks first',
    flaws: { talksFirst: true },
    grades: { '1.1.2': 'FAILED / WRONG CODE', '2.1': 'FAILED / OK', '7.3.1': 'FAILED / OK', '3.1': 'FAILED / OK' },
  },
  {
    name: 'says goodbye by itself',
    flaws: { closesFirst: true },
    grades: { '1.1.2': 'OK / OK', '9.7.2': 'FAILED / FAILED' },
  },
  {
    name: 'spoils text',
    flaws: { spoilsText: true },
    grades: { '1.1.2': 'FAILED / WRONG CODE', '9.1.1': 'FAILED / WRONG CODE' },
    spared: '1.2.*,2.*',
  },
  {
    name: 'writes lengths in a longer form',
    flaws: { longForm: true },
    grades: { '1.1.2': 'FAILED / UNCLEAN', '1.1.4': 'OK / UNCLEAN', '2.4': 'FAILED / UNCLEAN' },
  },
];

for (const { name, flaws, grades, spared } of SINS) {
  t.test(`a server that ${name} gets just the grades it deserves`, async (t) => {
    for (const [id, want] of Object.entries(grades))
      t.equal(grade(id, flaws), want, `${id}: ${play(byName(id), 'server', flaws).seen}`);
    for (const { id } of spared === undefined ? [] : chosen(spared))
      t.equal(grade(id, flaws), OK, `${id} is not touched`);
  });
}
