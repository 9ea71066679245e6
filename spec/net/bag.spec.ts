// The set whose members know their place: the same as a Set in everything but order.
import t from 'tap';
import { seeded } from '../../fixtures/rig/random.js';
import { Bag } from '../../lib/net/bag.js';

class Member {
  place = -1;
}

t.test('it holds what a Set would hold, whatever is added and removed', (t) => {
  const seed = 20_261_121;
  const random = seeded(seed);
  const bag = new Bag<Member>();
  const set = new Set<Member>();
  const all = Array.from({ length: 40 }, () => new Member());
  for (let i = 0; i < 20_000; i++) {
    const member = all[random.int(all.length)] as Member;
    if (set.has(member) && random.int(2) === 0) {
      bag.delete(member);
      set.delete(member);
    } else if (!set.has(member)) {
      bag.add(member);
      set.add(member);
    }
    const same = bag.size === set.size && all.every((one) => bag.has(one) === set.has(one));
    if (!same) return void t.fail(`seed ${seed}: different after step ${i}`);
  }
  t.strictSame(new Set(bag), set);
  t.end();
});

t.test('what is not in it can be removed without harm, also when it was in another one', (t) => {
  const [one, two] = [new Bag<Member>(), new Bag<Member>()];
  const [a, b, c] = [new Member(), new Member(), new Member()];
  one.add(a);
  two.add(b);
  one.delete(b);
  one.delete(c);
  t.ok(one.has(a) && two.has(b) && !one.has(b) && !one.has(c));
  two.delete(b);
  two.delete(b);
  t.strictSame([one.size, two.size, b.place], [1, 0, -1]);
  t.end();
});

t.test('a loop sees each member that was there when it began exactly once, while all of them leave', (t) => {
  const bag = new Bag<Member>();
  const all = Array.from({ length: 10 }, () => new Member());
  for (const member of all) bag.add(member);
  const seen: Member[] = [];
  for (const member of bag) {
    seen.push(member);
    for (const one of all) bag.delete(one);
    bag.add(new Member());
  }
  t.strictSame(new Set(seen), new Set(all));
  t.equal(seen.length, 10);
  t.end();
});
