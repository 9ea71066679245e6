// The same program under every Node there is: the one that runs this, and those that WSD_NODES names (paths to executables, with colons
// between them). What is undocumented must be there, and what is documented must do as well.

import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { runProgram } from './daemon.js';
import type { SelfTest } from './self-test.js';

const PROGRAM = fileURLToPath(new URL('self-test.js', import.meta.url));
const named = (process.env['WSD_NODES'] ?? '').split(delimiter).filter((path) => path !== '');
if (named.length === 0) t.comment('only this Node: WSD_NODES can name others, as paths with colons between them');

/** Node 20 has a WebSocket of its own behind a flag. */
const flags = (major: number): readonly string[] => (major < 22 ? ['--experimental-websocket'] : []);

for (const path of new Set([process.execPath, ...named]))
  t.test(
    path === process.execPath ? `this Node, ${process.version}` : `Node number ${1 + named.indexOf(path)}`,
    async (t) => {
      const { out: version } = await runProgram(path, ['--version']);
      const major = Number(/^v(\d+)\./.exec(version)?.[1]);
      t.ok(major >= 20, `it is ${version.trim()}`);
      const { code, out, err } = await runProgram(path, [...flags(major), '--no-warnings', PROGRAM]);
      t.equal(code, 0, err);
      const result = JSON.parse(out || '{}') as SelfTest;
      t.match(result, {
        version: version.trim(),
        canShare: true,
        isStepUsable: true,
        simd: true,
        builtIn: 'good',
        close: { clean: 5, cut: 0 },
      });
      for (const [name, good] of Object.entries(result.echoes))
        t.ok(good, `${name}: every message came back as it was`);
      t.equal(Object.keys(result.echoes).length, 5);
      t.match(result.extensions, {
        plain: '',
        auto: /^permessage-deflate; server_no_context_takeover; client_no_context_takeover/,
        documented: /^permessage-deflate; server_no_context_takeover; client_no_context_takeover/,
        'auto, with takeover': 'permessage-deflate',
        'documented, with takeover': /server_max_window_bits=10; client_max_window_bits=9/,
      });
    },
  );
