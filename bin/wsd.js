#!/usr/bin/env node
// Hands the words of the command line and the streams to lib/cli, nothing else.
import { existsSync } from 'node:fs';

const main = new URL('../build/lib/cli/main.js', import.meta.url);
if (existsSync(main)) {
  const { run } = await import(main.href);
  await run(process);
} else {
  process.stderr.write('wsd is not built: run `make build` in its folder first\n');
  process.exitCode = 1;
}
