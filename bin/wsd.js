#!/usr/bin/env node
// Hands the words of the command line and the streams to lib/cli, nothing else. Everything in this file is understood by Node 14 too, so that
// a version that is too old for the rest is told so in a sentence.
// biome-ignore lint/style/useNodejsImportProtocol: the first versions that have modules do not know it
import { existsSync } from 'fs';

const OLDEST = [20, 19];
const [major, minor] = process.versions.node.split('.').map(Number);
const main = new URL('../build/lib/cli/main.js', import.meta.url);

const refuse = (why) => {
  process.stderr.write(`${why}\n`);
  process.exitCode = 1;
};

if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  refuse(`wsd needs Node ${OLDEST.join('.')} or later, and this is Node ${process.versions.node}`);
} else if (existsSync(main)) {
  void import(main.href).then(({ run }) => run(process));
} else {
  refuse('wsd is not built: run `make build` in its folder first');
}
