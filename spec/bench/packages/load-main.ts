// The load as a process of its own: what to do is its argument, in JSON. Says `ready` at once, opens its lines and asks until its stdin ends, and
// answers `count` meanwhile.
import { answer, say } from '../lines.js';
import { PackageLoad, type PackageLoadOptions } from './load.js';

const load = new PackageLoad(JSON.parse(process.argv[2] ?? '{}') as PackageLoadOptions);
answer({ count: () => load.count() });
say('ready');
await load.start();
