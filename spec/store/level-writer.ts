// A process that commits for ever, several documents side by side, and says on its output what is committed: for a spec that kills it.
import { openLevelStore } from '../../lib/store/level.js';

const store = await openLevelStore(process.argv[2] as string);

await Promise.all(
  ['1', '2', '3', '4', '5', '6', '7', '8'].map(async (key) => {
    const found = await store.get(key);
    for (let version = found?.version ?? 0; ; version += 1) {
      const next = { epoch: 1, owner: 'a', leaseUntil: undefined, doc: { version: version + 1 }, version: version + 1 };
      const expect = version === 0 ? { epoch: 0, version: 0 } : { epoch: 1, version };
      if (!(await store.commit(key, expect, next))) throw new Error(`somebody else has written ${key}`);
      process.stdout.write(`${key} ${version + 1}\n`);
    }
  }),
);
