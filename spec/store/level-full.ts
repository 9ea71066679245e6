// A process whose files cannot grow beyond what the shell has said, as on a disk that is full: it commits all the same, again and again, and says
// at the end what was acknowledged and how often a commit failed. Not a spec.
import { openLevelStore } from '../../lib/store/level.js';

const store = await openLevelStore(process.argv[2] as string);
const pad = 'x'.repeat(6_000);
const acknowledged: Record<string, number> = {};
const failures: string[] = [];
let unread = 0;

for (let round = 0; round < 400; round += 1) {
  const key = String((round % 40) + 1);
  const found = await store.get(key);
  const { version = 0, epoch = 0 } = found ?? {};
  // What failed may have been written, or not; what was acknowledged must be there.
  if (version < (acknowledged[key] ?? 0)) unread += 1;
  const next = { epoch: 1, owner: 'a', leaseUntil: undefined, doc: { pad }, version: version + 1 };
  try {
    if (await store.commit(key, { epoch, version }, next)) acknowledged[key] = version + 1;
  } catch (error) {
    failures.push((error as Error).message);
  }
}
await store.close();
process.stdout.write(JSON.stringify({ acknowledged, failures, unread }));
