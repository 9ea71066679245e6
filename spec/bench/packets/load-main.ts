// The load as a process of its own: what to do is its argument, in JSON. Says `ready` when all connections are open, then goes on until its
// stdin ends, and answers `count` meanwhile.
import { answer, say } from '../lines.js';
import { PacketLoad, type PacketLoadOptions } from './load.js';

const load = await PacketLoad.open(JSON.parse(process.argv[2] ?? '{}') as PacketLoadOptions);
answer({ count: () => load.count() });
say('ready');
load.start();
