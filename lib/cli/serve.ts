// `wsd serve`: the dispatch of packages, or with --echo a server that sends every message back. The flags of both, and which of them is meant.
import { type Command, type Io, UsageError } from './command.js';
import { CONFIG_FLAG, DATA_FLAG } from './data-flags.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { SERVER_PACKET_FLAGS } from './packet-flags.js';
import { serveDispatch } from './serve-dispatch.js';
import { serveEcho } from './serve-echo.js';
import { LEVELS } from './serve-log.js';
import { numberFlags } from './serve-options.js';

const FLAGS: readonly Flag[] = [
  { name: 'echo', help: 'send every message back, instead of being a dispatch' },
  DATA_FLAG,
  CONFIG_FLAG,
  { name: 'host', value: 'ADDRESS', help: 'listen on this address (default 127.0.0.1; 0.0.0.0 or :: for all)' },
  { name: 'port', short: 'p', value: 'N', help: 'listen on this port (default 8080); 0 takes any free one' },
  { name: 'unix', value: 'PATH', help: 'listen on a Unix socket, mode 0660, instead' },
  { name: 'tls-cert', value: 'FILE', help: 'serve wss with this certificate chain (PEM)' },
  { name: 'tls-key', value: 'FILE', help: 'and its private key (PEM)' },
  { name: 'path', value: 'PATH', many: true, help: "accept WebSockets only at this path; '/chat/*' is a prefix" },
  {
    name: 'origin',
    value: 'URL',
    many: true,
    help: "pages of this origin may connect; 'any' for all (default: only same-origin pages)",
  },
  {
    name: 'subprotocol',
    short: 's',
    value: 'NAME',
    many: true,
    help: 'with --echo: a subprotocol to accept, in order of preference',
  },
  { name: 'deflate', help: 'accept permessage-deflate' },
  ...SERVER_PACKET_FLAGS,
  ...numberFlags(),
  { name: 'drain', value: 'MS', help: 'how long connections may take to close after the first signal (default 5s)' },
  { name: 'json', help: 'print {url, pid, version, …} instead of the URL, and log JSON lines' },
  { name: 'log-level', choices: LEVELS, help: 'the least that is logged (default info)' },
  { name: 'quiet', short: 'q', help: 'no hints, and only errors in the log' },
];

/** Each of them means something to one of the two only. */
const ECHO_ONLY = ['subprotocol', 'max-message', 'max-buffered', ...SERVER_PACKET_FLAGS.map(({ name }) => name)];
const DISPATCH_ONLY = ['data', 'config'];

const USAGE = 'wsd serve [--echo] [options]';

const HELP = `usage: ${USAGE}

Runs the dispatch: services and fronts connect to it with their credentials, send each other
packages, and own user data one at a time. Its keys and its store lie in the data directory, which
the first start makes, with credentials for a first service and a first front. Prints its URL on
stdout once it listens. SIGHUP reads the configuration again: scopes, log and certificate change,
and a broken one changes nothing.

With --echo it is a server that sends every message back, without keys and files.

${writeFlags(FLAGS)}

times are in ms, or 30s, or 2m; sizes in bytes, or 64k, or 16m

examples:
  wsd serve
  wsd serve --data /var/lib/wsd --config wsd.json --json
  wsd serve --host :: --tls-cert cert.pem --tls-key key.pem
  wsd serve --echo
  wsd serve --echo --port 0 --json
  wsd serve --echo --origin https://app.example --deflate
  wsd serve --echo --packets --packet-cert wsd-cert.pem --packet-key wsd-key.pem

exit code: 0 after SIGINT or SIGTERM (the second ends at once), 1 could not start, 2 usage
`;

const refuse = (flags: Flags): void => {
  const [word] = flags.positionals;
  if (word !== undefined) throw new UsageError(`what is "${word}"? wsd serve takes options only`);
  const echo = flags.has('echo');
  const idle = (echo ? DISPATCH_ONLY : ECHO_ONLY).find((name) => flags.has(name));
  if (idle === undefined) return;
  throw new UsageError(
    echo
      ? `--${idle} is for the dispatch: an echo has no use for it`
      : `--${idle} goes with --echo; the dispatch has its sessions from the configuration file, and packages have their size`,
  );
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  refuse(flags);
  return flags.has('echo') ? serveEcho(flags, io) : serveDispatch(flags, io);
};

export const serve: Command = {
  name: 'serve',
  summary: 'run the dispatch of packages, or an echo server to try clients against',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
