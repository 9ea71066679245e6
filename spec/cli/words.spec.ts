import { spawnSync } from 'node:child_process';
import t from 'tap';
import { nearest } from '../../lib/bytes/nearest.js';
import { type Command, UsageError } from '../../lib/cli/command.js';
import { connect } from '../../lib/cli/connect.js';
import { linesOf, parseTyped } from '../../lib/cli/connect-input.js';
import { completeUrl, readClose, withoutQuery } from '../../lib/cli/connect-options.js';
import { decode } from '../../lib/cli/decode.js';
import { type Flag, longFlags, parseFlags, writeFlags } from '../../lib/cli/flags.js';
import { layOut, widthOf } from '../../lib/cli/help-layout.js';
import { programOf, writeHints } from '../../lib/cli/hints.js';
import { keygen } from '../../lib/cli/keygen.js';
import { main } from '../../lib/cli/main.js';
import { readHex } from '../../lib/cli/read-hex.js';
import { serve } from '../../lib/cli/serve.js';
import { wantsColour } from '../../lib/cli/style.js';
import { escapeControl, hexOf, quote } from '../../lib/cli/terminal.js';
import { token } from '../../lib/cli/token.js';
import { version } from '../../lib/cli/version.js';
import { FakeOut, fakeIo } from './fake-io.js';

const TABLE: readonly Flag[] = [
  { name: 'size', short: 'S', value: 'BYTES', help: 'a size' },
  { name: 'time', value: 'MS', help: 'a time' },
  { name: 'port', value: 'N', help: 'a number' },
  { name: 'header', short: 'H', value: 'X', many: true, help: 'repeatable' },
  { name: 'deflate', negatable: true, help: 'a switch that can be negated' },
  { name: 'quiet', short: 'q', help: 'a switch' },
  { name: 'side', choices: ['client', 'server'], help: 'one of two words' },
];

t.test('flags are read in all their forms', async (t) => {
  const flags = parseFlags(TABLE, [
    '--size=64k',
    '-H',
    'a: -b',
    '--header',
    'c',
    '-q',
    'word',
    '--time',
    '2m',
    '--',
    '--odd',
  ]);
  t.equal(flags.bytes('size'), 65536);
  t.equal(flags.duration('time'), 120_000);
  t.strictSame(flags.all('header'), ['a: -b', 'c']);
  t.equal(flags.switch('quiet'), true);
  t.equal(flags.switch('deflate'), undefined);
  t.strictSame(flags.positionals, ['word', '--odd']);
  t.equal(parseFlags(TABLE, ['--deflate']).switch('deflate'), true);
  t.equal(parseFlags(TABLE, ['--no-deflate']).switch('deflate'), false);
});

t.test('sizes and times take units', async (t) => {
  for (const [text, value] of [
    ['0', 0],
    ['17', 17],
    ['1k', 1024],
    ['16m', 16777216],
    ['1G', 1073741824],
    ['4KiB', 4096],
  ] as const) {
    t.equal(parseFlags(TABLE, ['--size', text]).bytes('size'), value, text);
  }
  for (const [text, value] of [
    ['500', 500],
    ['500ms', 500],
    ['1.5s', 1500],
    ['2m', 120000],
  ] as const) {
    t.equal(parseFlags(TABLE, ['--time', text]).duration('time'), value, text);
  }
  t.equal(parseFlags(TABLE, ['--time', '3']).duration('time', 's'), 3000);
});

t.test('what makes no sense is refused in one sentence', async (t) => {
  const cases: readonly [string[], RegExp, ((flags: ReturnType<typeof parseFlags>) => unknown)?][] = [
    [['--sise', '1'], /unknown option --sise: did you mean --size\?/],
    [['--no-deflat'], /did you mean --no-deflate\?/],
    [['--zzzzzz'], /unknown option --zzzzzz$/],
    [['--no-quiet'], /unknown option --no-quiet/],
    [['-z'], /unknown option -z/],
    [['--size'], /--size needs a value: BYTES/],
    [['--side'], /--side needs a value: client\|server/],
    [['--quiet=1'], /--quiet takes no value/],
    [['--size', '1', '--size', '2'], /--size is given twice/],
    [['--size', 'big'], /--size takes a size such as/, (flags) => flags.bytes('size')],
    [['--size', '-1'], /--size takes a size such as/, (flags) => flags.bytes('size')],
    [['--time', '1h'], /--time takes a time such as/, (flags) => flags.duration('time')],
    [['--time', '99999m'], /too long/, (flags) => flags.duration('time')],
    [
      ['--port', '65536'],
      /--port takes a whole number from 0 to 65535, not "65536"/,
      (flags) => flags.integer('port', 0, 65535),
    ],
    [['--port', '1e3'], /whole number/, (flags) => flags.integer('port', 0, 65535)],
    [
      ['--side', 'left'],
      /--side takes client or server, not "left"/,
      (flags) => flags.oneOf('side', ['client', 'server']),
    ],
  ];
  for (const [args, message, read] of cases) {
    t.throws(
      () => read?.(parseFlags(TABLE, args)) ?? parseFlags(TABLE, args),
      { name: 'UsageError', message },
      args.join(' '),
    );
  }
});

t.test('the help names every flag, and so does the list for completion', async (t) => {
  const help = layOut(writeFlags(TABLE), 80);
  for (const flag of TABLE) t.ok(help.includes(`--${flag.negatable ? '[no-]' : ''}${flag.name}`));
  t.match(help, /--side client\|server {2}/, 'with all the values there are');
  t.strictSame(
    longFlags(TABLE).map(({ word, short, takes, choices }) => [word, short, takes, choices]),
    [
      ['--size', '-S', 'word', []],
      ['--time', undefined, 'word', []],
      ['--port', undefined, 'word', []],
      ['--header', '-H', 'word', []],
      ['--deflate', undefined, 'nothing', []],
      ['--no-deflate', undefined, 'nothing', []],
      ['--quiet', '-q', 'nothing', []],
      ['--side', undefined, 'word', ['client', 'server']],
      ['--help', '-h', 'nothing', []],
    ],
  );
});

t.test('a help fits the terminal, and what is to be typed stays as it is', async (t) => {
  const text = `usage: wsd thing ${'[--and-much-more] '.repeat(3)}

One two three four five six
seven.

  -a, --all\teverything that there is, and a little more
      --a-flag-with-a-long-name VALUE\tshort

examples:
  wsd thing   ${'x'.repeat(50)}
`;
  t.equal(
    layOut(text, 40),
    `usage: wsd thing ${'[--and-much-more] '.repeat(3)}

One two three four five six seven.

  -a, --all
        everything that there is, and a
        little more
      --a-flag-with-a-long-name VALUE
        short

examples:
  wsd thing   ${'x'.repeat(50)}
`,
  );
  t.match(
    layOut(text, 80),
    `
  -a, --all                 everything that there is, and a little more
      --a-flag-with-a-long-name VALUE
                            short
`.slice(1),
  );
  const out = (columns?: number): { write: () => boolean; columns?: number } => ({
    write: () => true,
    ...(columns === undefined ? {} : { columns }),
  });
  for (const [columns, env, width] of [
    [undefined, {}, 80],
    [90, {}, 90],
    [300, {}, 100],
    [5, {}, 40],
    [90, { COLUMNS: '60' }, 60],
    [90, { COLUMNS: 'wide' }, 90],
    [undefined, { COLUMNS: '0' }, 80],
  ] as const) {
    t.equal(widthOf(out(columns), env), width, `${columns} ${JSON.stringify(env)}`);
  }
});

t.test('the nearest word is found for slips, and none for other words', async (t) => {
  const known = ['serve', 'connect', 'decode', 'conform', 'help'];
  for (const [word, best] of [
    ['conect', 'connect'],
    ['srve', 'serve'],
    ['deocde', 'decode'],
    ['conf', 'conform'],
    ['frobnicate', undefined],
    ['x'.repeat(9999), undefined],
  ] as const) {
    t.equal(nearest(word, known), best, word.slice(0, 20));
  }
});

t.test('hexadecimal is read in every form people paste', async (t) => {
  const hello = '810548656c6c6f';
  const cases: readonly [string, string][] = [
    ['plain', '810548656c6c6f'],
    ['spaced, in capitals', '81 05 48 65 6C 6C 6F'],
    ['an array of C', '{0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}'],
    ['escapes', '\\x81\\x05\\x48\\x65\\x6c\\x6c\\x6f'],
    ['colons', '81:05:48:65:6c:6c:6f'],
    ['comments and lines', '# a frame\n81 05\r\n48656c6c6f\n'],
    ['xxd', '00000000: 8105 4865 6c6c 6f                        ..Hello'],
    ['hexdump -C', '00000000  81 05 48 65 6c 6c 6f                              |..Hello|\n00000007'],
    ['od -tx1', '0000000 81 05 48 65 6c 6c 6f\n0000007'],
    ['tcpdump -X', '\t0x0000:  8105 4865 6c6c 6f                        ..Hello'],
  ];
  for (const [name, text] of cases) t.equal(hexOf(readHex(text) ?? new Uint8Array(0), ''), hello, name);
  const long = Array.from({ length: 40 }, (_, i) => (i * 7) & 255);
  const xxd = [0, 16, 32].map(
    (at) => `${at.toString(16).padStart(8, '0')}: ${hexOf(Uint8Array.from(long.slice(at, at + 16)))}  ab cd`,
  );
  t.strictSame([...(readHex(xxd.join('\n')) ?? [])], long, 'a text column that looks like hexadecimal is left out');
  for (const bad of ['8', '81 0', 'zz', 'hello', '81 05 4g', 'GET / HTTP/1.1']) t.equal(readHex(bad), undefined, bad);
  t.equal(readHex('  \n')?.length, 0);
});

t.test('nothing a terminal would obey is left in text', async (t) => {
  t.equal(escapeControl('a\u001b[31mred\u0007\r\n\u009b\u202e\u2028'), 'a\\x1b[31mred\\x07\\r\\n\\x9b\\u202e\\u2028');
  t.equal(escapeControl('ümläut 😀 日本'), 'ümläut 😀 日本');
  t.equal(escapeControl('\ud800'), '\\ud800');
  t.equal(escapeControl('a\tb\nc', '\n\t'), 'a\tb\nc');
  t.equal(quote('x'.repeat(200), 10), `"${'x'.repeat(10)}"… (200 characters)`);
  t.equal(quote('😀😀😀', 3), '"😀"… (6 characters)', 'no half of a character is shown');
});

t.test('colour follows FORCE_COLOR, NO_COLOR, TERM and the terminal, in this order', async (t) => {
  const cases: readonly [boolean, Record<string, string>, boolean][] = [
    [false, {}, false],
    [true, {}, true],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [true, { TERM: 'dumb' }, false],
    [false, { FORCE_COLOR: '1' }, true],
    [true, { FORCE_COLOR: '0' }, false],
    [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ];
  for (const [tty, env, wanted] of cases)
    t.equal(wantsColour(new FakeOut(tty), env), wanted, `${tty} ${JSON.stringify(env)}`);
});

t.test('URLs are completed as far as they are plain', async (t) => {
  for (const [given, url] of [
    ['8080', 'ws://127.0.0.1:8080'],
    ['8080/chat', 'ws://127.0.0.1:8080/chat'],
    [':9/a', 'ws://127.0.0.1:9/a'],
    ['example.org/a?b', 'ws://example.org/a?b'],
    ['localhost:8080', 'ws://localhost:8080'],
    ['https://example.org', 'wss://example.org'],
    ['http://example.org', 'ws://example.org'],
    ['wss://example.org', 'wss://example.org'],
    ['ftp://example.org', 'ftp://example.org'],
  ] as const) {
    t.equal(completeUrl(given), url, given);
  }
  t.equal(withoutQuery('ws://h/p?token=secret'), 'ws://h/p?…');
});

t.test('close codes that must not be sent are refused where they are typed', async (t) => {
  t.strictSame(readClose('1000'), { code: 1000, reason: '' });
  t.strictSame(readClose('4001:see you'), { code: 4001, reason: 'see you' });
  t.strictSame(readClose('3000 a: b'), { code: 3000, reason: 'a: b' });
  for (const bad of ['1005', '1006', '999', '5000', '1015', 'bye', '', `1000:${'x'.repeat(124)}`]) {
    t.throws(() => readClose(bad), UsageError, bad.slice(0, 12));
  }
});

t.test('what is typed is a message unless it begins with one slash', async (t) => {
  for (const [line, input] of [
    ['hello', { kind: 'text', text: 'hello' }],
    ['//x', { kind: 'text', text: '/x' }],
    ['/hex 00 ff', { kind: 'binary', bytes: Uint8Array.of(0, 255) }],
    ['/hex 0', { kind: 'wrong' }],
    ['/file', { kind: 'wrong' }],
    ['/file a b.txt', { kind: 'file', path: 'a b.txt' }],
    ['/ping', { kind: 'ping', data: '' }],
    [`/ping ${'x'.repeat(126)}`, { kind: 'wrong' }],
    ['/close', { kind: 'close', wish: { code: 1000, reason: '' } }],
    ['/close 4000 so long', { kind: 'close', wish: { code: 4000, reason: 'so long' } }],
    ['/close 1006', { kind: 'wrong' }],
    ['/quit', { kind: 'close' }],
    ['/help', { kind: 'help' }],
    ['/pnig', { kind: 'wrong', why: /did you mean \/ping\?/ }],
  ] as const) {
    t.match(parseTyped(line), input, line.slice(0, 20));
  }
});

t.test('lines are the same however the bytes are cut', async (t) => {
  const bytes = Buffer.from('eins\nzwei mit ümläut\r\n\n😀 ende');
  const wanted = ['eins', 'zwei mit ümläut', '', '😀 ende'];
  const collect = async (chunks: Iterable<Uint8Array>): Promise<string[]> => {
    const lines: string[] = [];
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      yield* chunks;
    })();
    for await (const line of linesOf(source)) lines.push(line);
    return lines;
  };
  t.strictSame(await collect([bytes]), wanted);
  t.strictSame(await collect(Array.from(bytes, (octet) => Uint8Array.of(octet))), wanted);
  for (let cut = 0; cut <= bytes.length; cut++)
    t.strictSame(await collect([bytes.subarray(0, cut), bytes.subarray(cut)]), wanted);
});

t.test('help, version and mistakes', async (t) => {
  const run = async (...argv: string[]): Promise<{ code: number; out: string; err: string }> => {
    const io = fakeIo({ stdin: '' });
    const code = await main(argv, io);
    return { code, out: io.stdout.text, err: io.stderr.text };
  };
  const overview = await run('--help');
  t.match(overview, { code: 0, err: '' });
  const names = [
    'serve',
    'connect',
    'decode',
    'conform',
    'keygen',
    'init',
    'token',
    'call',
    'scopes',
    'completion',
    'help',
  ];
  for (const name of names) {
    t.match(overview.out, new RegExp(`^ {2}${name} `, 'm'));
    const byHelp = await run('help', name);
    t.match(byHelp, { code: 0, out: /^usage: wsd /, err: '' });
    t.strictSame(await run(name, '--help'), byHelp, `wsd ${name} --help is wsd help ${name}`);
    t.equal((await run(name, '-h')).out, byHelp.out);
    for (const columns of [40, 60, 80, 100]) {
      const io = fakeIo({ stdin: '', env: { COLUMNS: String(columns) } });
      await main(['help', name], io);
      const [, body = ''] = /^usage: .*?\n\n(.*?)(?:\n\nexamples:.*)?$/s.exec(io.stdout.text) ?? [];
      const wide = body.split('\n').filter((line) => line.length > columns && !/^\s*\S+(?: \S+){0,2}$/.test(line));
      t.strictSame(name === 'completion' ? [] : wide, [], `${name} fits into ${columns} columns`);
    }
  }
  t.strictSame(await run('help'), overview);
  t.strictSame(await run('--version'), { code: 0, out: `${version}\n`, err: '' });
  t.match(
    await run(),
    { code: 2, out: '', err: /usage: wsd COMMAND/ },
    'no command is a usage error, with the list on stderr',
  );
  t.match(await run('conect'), {
    code: 2,
    out: '',
    err: /unknown command "conect": did you mean connect\?\nsee: wsd help\n/,
  });
  t.match(await run('help', 'decoed'), { code: 2, err: /did you mean decode\?/ });
  t.match(await run('\u001b[31m'), { code: 2, err: /^wsd: unknown command "\\u001b/ });
  t.match(await run('serve'), { code: 2, err: /there is no home directory: say with --data/ });
  t.match(await run('connect'), { code: 2, err: /give a URL/ });
  t.match(await run('decode', '--ber', '1'), { code: 2, err: /unknown option --ber.*\nsee: wsd help decode/ });
});

t.test('completion scripts name every command and flag', async (t) => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const io = fakeIo({ stdin: '' });
    t.equal(await main(['completion', shell], io), 0);
    for (const word of [
      'serve',
      'connect',
      'decode',
      'conform',
      'keygen',
      'max-message',
      'no-deflate',
      'make-ca',
      'credential',
    ])
      t.ok(io.stdout.text.includes(word), `${shell} knows ${word}`);
  }
  t.equal(await main(['completion', 'tcsh'], fakeIo({ stdin: '' })), 2);
});

/** What bash offers behind these words, the last of which is being typed. */
const offeredByBash = (script: string, words: readonly string[], folder: string): string[] => {
  const typed = words.map((word) => `'${word}'`).join(' ');
  const ask = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _wsd; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', `${script}\n${ask}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (stderr !== '') throw new Error(stderr);
  return stdout.split('\n').filter((word) => word !== '');
};

const bashIsThere = spawnSync('bash', ['-c', 'true']).status === 0;
t.test('bash offers values, files where files are meant, and words', { skip: !bashIsThere }, async (t) => {
  const io = fakeIo({ stdin: '' });
  await main(['completion', 'bash'], io);
  const folder = t.testdir({ 'a file.pem': '', 'serve.json': '' });
  for (const [typed, offered] of [
    [['wsd', 'se'], ['serve']],
    [
      ['wsd', 'serve', '--log-level', ''],
      ['debug', 'info', 'warn', 'error', 'silent'],
    ],
    [['wsd', 'serve', '--log-level', 'de'], ['debug']],
    [['wsd', 'serve', '--log-level', '=', 'in'], ['info']],
    [
      ['wsd', 'serve', '--log-level', '='],
      ['debug', 'info', 'warn', 'error', 'silent'],
    ],
    [['wsd', 'serve', '--log-l'], ['--log-level']],
    [
      ['wsd', 'serve', '--client-certificate', ''],
      ['none', 'optional', 'required'],
    ],
    [
      ['wsd', 'decode', '--layer', 'p'],
      ['packet', 'package'],
    ],
    [
      ['wsd', 'decode', '--from', ''],
      ['client', 'server'],
    ],
    [
      ['wsd', 'connect', '--packet-mode', ''],
      ['required', 'none'],
    ],
    [
      ['wsd', 'token', '--role', ''],
      ['service', 'front'],
    ],
    [
      ['wsd', 'token', '--alg', ''],
      ['ES256', 'HS256'],
    ],
    [
      ['wsd', 'keygen', '--type', ''],
      ['p256', 'ed25519', 'rsa2048'],
    ],
    [
      ['wsd', 'serve', '--config', ''],
      ['a file.pem', 'serve.json'],
    ],
    [['wsd', 'connect', '-f', 's'], ['serve.json']],
    [['wsd', 'serve', '--port', ''], []],
    [['wsd', 'serve', ''], []],
    [
      ['wsd', 'help', 'con'],
      ['connect', 'conform'],
    ],
    [
      ['wsd', 'completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['wsd', 'completion', '-'], ['--help']],
    [['wsd', 'nonsense', ''], []],
  ] as const) {
    t.strictSame(offeredByBash(io.stdout.text, typed, folder).sort(), [...offered].sort(), typed.join(' '));
  }
});

t.test('zsh and fish are told the same values', async (t) => {
  const script = async (shell: string): Promise<string> => {
    const io = fakeIo({ stdin: '' });
    await main(['completion', shell], io);
    return io.stdout.text;
  };
  const zsh = await script('zsh');
  t.match(zsh, "'decode --layer') compadd -- frame packet package; return ;;");
  t.match(zsh, /'serve --data'\|'serve --config'.*\) _files; return ;;/);
  t.match(zsh, /completion\) compadd -- bash zsh fish; compadd -- --help ;;/);
  const fish = await script('fish');
  t.match(fish, "'__fish_seen_subcommand_from decode' -l layer -x -a 'frame packet package'");
  t.match(fish, "'__fish_seen_subcommand_from connect' -l file -s f -r -F");
  t.match(fish, "'__fish_seen_subcommand_from completion' -a 'bash zsh fish'");
  for (const [shell, text] of [
    ['zsh', zsh],
    ['fish', fish],
  ] as const) {
    const parsed = spawnSync(shell, ['-n'], { input: text, encoding: 'utf8' });
    if (parsed.error === undefined) t.equal(parsed.status, 0, parsed.stderr);
  }
});

t.test('a flag with a list of values takes these and no other, and its help shows them', async (t) => {
  const folder = t.testdir();
  for (const { name, flags = [], help } of [serve, connect, decode, keygen, token]) {
    for (const { word, choices } of flags) {
      if (choices.length === 0) continue;
      t.match(help, `${word} ${choices.join('|')}\t`);
      const io = fakeIo({ stdin: '' });
      const role = word === '--role' ? [] : ['--role', 'service'];
      const rest =
        {
          serve: ['--echo', '--packets'],
          connect: ['9', '--packets', '--anonymous'],
          token: ['--node', 'a', '--data', folder, ...role],
        }[name] ?? [];
      t.equal(await main([name, ...rest, word, 'nonsense'], io), 2);
      t.match(io.stderr.text, `${word} takes ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}, not "nonsense"`);
    }
  }
});

t.test('a mistake of our own is told with its trace and exit code 1', async (t) => {
  const io = fakeIo({ stdin: '' });
  const broken: Command['run'] = async () =>
    main(['decode', '00'], {
      ...io,
      stdout: {
        write: () => {
          throw new Error('disk on fire');
        },
      },
    });
  t.equal(await broken([], io), 1);
  t.match(io.stderr.text, /^wsd: disk on fire\n.* {4}at /s);
});

t.test('lines to try name the program as it was called', (t) => {
  const rows: readonly (readonly [script: string | undefined, path: string, folder: string, name: string])[] = [
    [undefined, '/usr/bin', '/home/a', 'wsd'],
    ['/usr/local/bin/wsd', '/usr/bin:/usr/local/bin', '/home/a', 'wsd'],
    ['/home/a/app/node_modules/.bin/wsd', '/usr/bin', '/home/a/app', 'npx wsd'],
    ['/home/a/wsd/bin/wsd', '/usr/bin', '/home/a/wsd', 'bin/wsd'],
    ['/home/a/wsd/bin/wsd', '/usr/bin', '/home/a/wsd/bin', './wsd'],
    ['/home/a/wsd/bin/wsd', '/usr/bin', '/home/b', '/home/a/wsd/bin/wsd'],
    ['/home/a/my wsd/bin/wsd', '/usr/bin', '/home/b', "'/home/a/my wsd/bin/wsd'"],
  ];
  for (const [script, path, folder, name] of rows) t.equal(programOf(script, path, folder), name);
  t.equal(programOf('/home/a/wsd/bin/wsd', undefined, '/home/a/wsd'), 'bin/wsd');
  const io = { ...fakeIo(), program: 'bin/wsd' };
  writeHints(io, ['wsd call 1000', '  wsd scopes', 'and wsd elsewhere', 'wsdish']);
  t.equal(io.stderr.text, 'try: bin/wsd call 1000\n       bin/wsd scopes\n     and wsd elsewhere\n     wsdish\n');
  t.end();
});
