// `wsd token`: lets a node in, gives it a new key, or shuts it out. The credential goes into a file that only its owner can read, never to a terminal
// or a log. A daemon that runs on the same data directory sees it by itself. The clock is read here.
import { resolve } from 'node:path';
import { addNode, type Handed, openHome, removeNode, rotateKey } from '../daemon/index.js';
import { type Command, EXIT, type Io, UsageError } from './command.js';
import { CONFIG_FLAG, DATA_FLAG, leaseFor, readConfigOf, readDirectory, urlFor } from './data-flags.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { writeHints } from './hints.js';
import { callWords } from './node-words.js';
import { styleFor } from './style.js';

const ROLES = ['service', 'front'] as const;
const ALGORITHMS = ['ES256', 'HS256'] as const;
const DEFAULT_GRACE = 600_000;

const FLAGS: readonly Flag[] = [
  { name: 'node', short: 'n', value: 'NAME', help: 'the node: letters, digits, dots, underscores and dashes' },
  { name: 'role', choices: ROLES, help: 'what it is; a front is a gateway that speaks for users only' },
  { name: 'users', value: 'ID,ID…', help: 'the only users it may speak for (default all)' },
  { name: 'scopes', value: 'N,N…', help: 'the only scopes it may send (default all that its role may)' },
  { name: 'endpoint', value: 'NAME', many: true, help: 'a name by which others may mean it; never dialled' },
  { name: 'assign', help: 'it may ask for user data on behalf of other nodes' },
  {
    name: 'alg',
    choices: ALGORITHMS,
    help: 'ES256: a key pair; HS256: a shared secret (default by role: service ES256, front HS256)',
  },
  { name: 'url', value: 'URL', help: 'where it finds the dispatch (default: where that runs, or ran last)' },
  {
    name: 'out',
    short: 'o',
    value: 'FILE',
    help: 'the credential file (default credentials/NAME.json in the data directory)',
  },
  { name: 'rotate', help: 'a new key for a node that is known; the old ones stay good for the time of --grace' },
  { name: 'grace', value: 'MS', help: 'with --rotate (default 10m)' },
  { name: 'revoke', help: 'shut the node out: its connection ends, its keys are no good any more' },
  DATA_FLAG,
  CONFIG_FLAG,
  { name: 'json', help: 'one JSON object on stdout, without the key' },
];

const USAGE = 'wsd token --node NAME --role service|front [options]';

const HELP = `usage: ${USAGE}
       wsd token --node NAME --rotate|--revoke [options]

Makes the credential by which a node connects to the dispatch: a file with mode 0600, to be moved to
where the node runs. What the dispatch must know of it goes into the data directory; a running wsd
serve sees it by itself. One node has one connection: whoever connects later under the same name
takes its place.

${writeFlags(FLAGS)}

times are in ms, or 30s, or 2m

examples:
  wsd token --node svc-a --role service
  wsd token --node gate-1 --role front --users 175928847299117063 --out gate-1.json
  wsd token --node batch --role service --scopes 0,1000 --url wss://dispatch.example.com
  wsd token --node svc-a --rotate --grace 1m
  wsd token --node svc-a --revoke

exit code: 0 done, 1 nothing was done, 2 usage
`;

const listOf = (flags: Flags, name: string): readonly string[] | undefined =>
  flags
    .text(name)
    ?.split(',')
    .map((word) => word.trim());

const scopesOf = (flags: Flags): readonly number[] | undefined =>
  listOf(flags, 'scopes')?.map((word) => {
    if (!/^\d{1,15}$/.test(word)) throw new UsageError(`--scopes takes whole numbers with commas, not "${word}"`);
    return Number(word);
  });

const GRANTS = ['role', 'users', 'scopes', 'endpoint', 'assign'];

const check = (flags: Flags): string => {
  const [word] = flags.positionals;
  if (word !== undefined) throw new UsageError(`what is "${word}"? name the node with --node`);
  const node = flags.text('node');
  if (node === undefined) throw new UsageError('say which node: --node NAME');
  const [rotate, revoke] = [flags.has('rotate'), flags.has('revoke')];
  if (rotate && revoke) throw new UsageError('--rotate excludes --revoke');
  if (flags.has('grace') && !rotate) throw new UsageError('--grace goes with --rotate');
  const idle = [...GRANTS, ...(revoke ? ['alg', 'url', 'out'] : [])].find((name) => flags.has(name));
  if ((rotate || revoke) && idle !== undefined) {
    throw new UsageError(
      `--${rotate ? 'rotate' : 'revoke'} excludes --${idle}${rotate ? ': the rights of the node stay' : ''}`,
    );
  }
  return node;
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  const node = check(flags);
  const directory = readDirectory(flags, io.env);
  const config = await readConfigOf(flags, directory);
  const role = flags.oneOf('role', ROLES);
  const [rotate, revoke] = [flags.has('rotate'), flags.has('revoke')];
  if (!rotate && !revoke && role === undefined)
    throw new UsageError('say what the node is: --role service or --role front');
  const out = flags.text('out');
  const common = {
    node,
    alg: flags.oneOf('alg', ALGORITHMS),
    audience: config.audience,
    lease: await leaseFor(config, directory),
    ...(out === undefined ? {} : { out: resolve(out) }),
  };
  const grants = {
    users: listOf(flags, 'users'),
    scopes: scopesOf(flags),
    endpoints: flags.has('endpoint') ? flags.all('endpoint') : undefined,
    permissions: flags.has('assign') ? (['assign'] as const) : undefined,
  };
  const grace = flags.duration('grace') ?? DEFAULT_GRACE;
  const wall = Date.now();
  const home = await openHome(directory, { make: false, wall });
  try {
    if (revoke) {
      await removeNode(home, node);
      tellRevoked(node, flags, io);
      return EXIT.ok;
    }
    const url = flags.text('url') ?? (await urlFor(config, directory));
    const handed = rotate
      ? await rotateKey(home, { ...common, url, grace, wall })
      : await addNode(home, { ...common, ...grants, url, role: role as (typeof ROLES)[number] });
    tellHanded(handed, flags, io);
    return EXIT.ok;
  } catch (error) {
    // A name or a number that cannot be came with the words of the command.
    if (error instanceof RangeError || error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
};

const tellRevoked = (node: string, flags: Flags, io: Io): void => {
  io.stdout.write(flags.has('json') ? `${JSON.stringify({ node, revoked: true })}\n` : `${node} is shut out\n`);
};

const tellHanded = (handed: Handed, flags: Flags, io: Io): void => {
  const { file, credential } = handed;
  const { node, role, kid, alg, url } = credential;
  if (flags.has('json')) {
    io.stdout.write(`${JSON.stringify({ file, node, role, kid, alg, url })}\n`);
    return;
  }
  const style = styleFor(io.stdout, io.env);
  const row = (left: string, right: string): boolean => io.stdout.write(`${style.dim(left.padEnd(13))}${right}\n`);
  row('credential', `${file} (mode 0600: show it to nobody)`);
  row('node', `${node}, ${role}`);
  row('key', `${kid}, ${alg}`);
  row('dispatch', url);
  writeHints(io, [callWords(handed, url)]);
};

export const token: Command = {
  name: 'token',
  summary: 'let a node in, renew its key, or shut it out',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
