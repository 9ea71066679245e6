// `wsd init`: the data directory of a dispatch with its keys, and credentials for a first service and a first front, without serving. Doing it twice
// changes nothing. The clock is read here.
import { firstNodes, openHome } from '../daemon/index.js';
import { type Command, EXIT, type Io, UsageError } from './command.js';
import { CONFIG_FLAG, DATA_FLAG, readConfigOf, readDirectory, urlFor } from './data-flags.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { writeHints } from './hints.js';
import { tryNodes } from './node-words.js';
import { quoted } from './shell.js';
import { styleFor } from './style.js';

const FLAGS: readonly Flag[] = [
  DATA_FLAG,
  CONFIG_FLAG,
  { name: 'url', value: 'URL', help: 'where nodes will find the dispatch (default ws://127.0.0.1:8080)' },
  { name: 'json', help: 'one JSON object on stdout' },
];

const USAGE = 'wsd init [options]';

const HELP = `usage: ${USAGE}

Makes the data directory of a dispatch: its keys, and credential files for a first service and a
first front. wsd serve does the same when it starts for the first time. What is there is kept.

${writeFlags(FLAGS)}

examples:
  wsd init
  wsd init --data /var/lib/wsd --url wss://dispatch.example.com
  wsd init --config wsd.json && wsd serve --config wsd.json

exit code: 0 it is there, 1 it could not be made, 2 usage
`;

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  refuseWords(flags);
  const path = readDirectory(flags, io.env);
  const config = await readConfigOf(flags, path);
  const url = flags.text('url') ?? (await urlFor(config, path));
  const home = await openHome(path, { make: true, wall: Date.now() });
  const first = await firstNodes(home, { url, audience: config.audience, lease: config.lease });
  const { directory, made, session } = home;
  if (flags.has('json')) {
    const files = first === undefined ? {} : { service: first.service.file, front: first.front.file };
    io.stdout.write(`${JSON.stringify({ directory, made, pin: session.pin, ...files })}\n`);
    return EXIT.ok;
  }
  const style = styleFor(io.stdout, io.env);
  const row = (left: string, right: string): string => `${style.dim(left.padEnd(13))}${right}\n`;
  io.stdout.write(row('directory', `${directory}${made ? '' : ' (was there: nothing has changed)'}`));
  if (first !== undefined) {
    io.stdout.write(row('service', `${first.service.file} (mode 0600: show it to nobody)`));
    io.stdout.write(row('front', `${first.front.file} (mode 0600)`));
  }
  io.stdout.write(row('session pin', session.pin));
  const data = flags.has('data') ? ` --data ${quoted(directory)}` : '';
  const config_ = flags.text('config');
  const serve = `wsd serve${data}${config_ === undefined ? '' : ` --config ${quoted(config_)}`}`;
  const lines = [serve, ...(first === undefined ? [] : tryNodes(first, url, data))];
  writeHints(io, lines);
  return EXIT.ok;
};

const refuseWords = (flags: Flags): void => {
  const [word] = flags.positionals;
  if (word !== undefined) throw new UsageError(`what is "${word}"? wsd init takes options only`);
};

export const init: Command = {
  name: 'init',
  summary: 'make the keys of a dispatch and its first credentials',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
