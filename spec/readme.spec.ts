// The README is run. What follows the language of a fenced block says what is done with it:
//
//   ```js file=server.mjs            written under that name, and syntax-checked. ts as well: all of them are compiled strictly
//   ```js file=client.mjs run        written and run; it must exit with 0
//   ```js file=client.mjs run with=server.mjs
//                                    the same, while the earlier block server.mjs runs: it has printed a line before, and is
//                                    stopped with SIGTERM afterwards, at which it must end by itself. Several, with commas, are
//                                    started one after the other; `service.mjs:a` is service.mjs with the argument a
//   ```sh run                        run by `sh -eu`, with `wsd` on its path; `with=` works too
//   ```text output                   what the block before it prints, to the letter; `…` in a line stands for anything
//   ```js fragment                   a piece that cannot stand alone: only its first comment tells what it needs
//
// A js, mjs or ts block must be one of these. Blocks of one README share one folder, in which `import 'wsd'` is this package.
// The port 8080 is exchanged for a free one, everywhere. Other languages, and sh without `run`, are only for reading.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

interface Block {
  readonly line: number;
  readonly language: string;
  readonly words: ReadonlyMap<string, string>;
  readonly text: string;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = fileURLToPath(new URL('../readme/', import.meta.url));
const CODE = ['js', 'mjs', 'ts'];
const PATIENCE_MS = 40_000;

function parseBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const open = /^ {0,3}(`{3,})\s*([\w+-]*)(.*)$/.exec(lines[at] ?? '');
    if (open === null) continue;
    const start = at;
    do at += 1;
    while (at < lines.length && (lines[at] ?? '').trim() !== open[1]);
    const words = (open[3] ?? '').split(' ').filter((word) => word !== '');
    blocks.push({
      line: start + 1,
      language: open[2] ?? '',
      words: new Map(words.map((word) => [word.split('=')[0] ?? '', word.split('=').slice(1).join('=')])),
      text: `${lines.slice(start + 1, at).join('\n')}\n`,
    });
  }
  return blocks;
}

/** Whether the output is the expected text, line by line; an ellipsis stands for anything within its line. */
function fits(output: string, expected: string): boolean {
  const literal = (part: string): string => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`^${expected.trimEnd().split('…').map(literal).join('.*')}\\s*$`).test(output);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface Ran {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

const ENV = { ...process.env, PATH: `${join(FOLDER, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`, NO_COLOR: '1' };

function run(command: string, words: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd: FOLDER, env: ENV, timeout: PATIENCE_MS };
    execFile(command, words, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? 1), stdout, stderr });
    }).stdin?.end();
  });
}

/** Starts a server's file and waits for its first line; a server that ends instead is an error with what it said. */
async function startServer(server: string): Promise<ChildProcess> {
  const [file = '', ...words] = server.split(':');
  const child = spawn(process.execPath, [runnable(file), ...words], {
    cwd: FOLDER,
    env: ENV,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${server} printed nothing in time: ${stderr}`)), PATIENCE_MS);
    child.stdout.once('data', () => resolve());
    child.once('close', (code) => reject(new Error(`${server} ended with ${code}: ${stderr}`)));
    child.once('exit', () => clearTimeout(late));
    child.stdout.once('data', () => clearTimeout(late));
  });
  child.stdout.resume();
  return child;
}

async function stopServer(child: ChildProcess): Promise<number | string | null> {
  const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  clearTimeout(late);
  return child.signalCode ?? child.exitCode;
}

/** The name under which node runs it: what the compiler makes of a ts file, anything else as it is. */
const runnable = (file: string): string => file.replace(/\.(m?)ts$/, '.$1js');

t.test('blocks are found with their words', async (t) => {
  const found = parseBlocks(
    'a\n```js file=a.mjs run\nconst x = `1`;\n```\n````md\n```js\n````\n```text output\nhi …!\n```\n',
  );
  t.strictSame(
    found.map(({ line, language, words, text }) => [line, language, [...words], text]),
    [
      [
        2,
        'js',
        [
          ['file', 'a.mjs'],
          ['run', ''],
        ],
        'const x = `1`;\n',
      ],
      [5, 'md', [], '```js\n'],
      [8, 'text', [['output', '']], 'hi …!\n'],
    ],
  );
  t.ok(fits('hi there!\n', 'hi …!\n'));
  t.notOk(fits('hi there\n', 'hi …!\n'));
  t.notOk(fits('hi\nthere!\n', 'hi …!\n'), 'an ellipsis stays in its line');
  t.notOk(fits('hi  there! and more\n', 'hi …!\n'));
});

t.test('what the README shows is true', async (t) => {
  const port = String(await freePort());
  const markdown = readFileSync(join(ROOT, 'README.md'), 'utf8').replaceAll(/\b8080\b/g, port);
  const blocks = parseBlocks(markdown);

  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'node_modules'), { recursive: true });
  mkdirSync(join(FOLDER, 'bin'));
  symlinkSync(ROOT, join(FOLDER, 'node_modules/wsd'), 'junction');
  symlinkSync(join(ROOT, 'bin/wsd'), join(FOLDER, 'bin/wsd'));
  writeFileSync(join(FOLDER, 'package.json'), '{ "type": "module" }\n');
  for (const { words, text } of blocks) {
    const file = words.get('file');
    if (file !== undefined) writeFileSync(join(FOLDER, file), text);
  }

  await t.test('every piece of code says whether it can be run', async (t) => {
    const mute = blocks.filter(
      ({ language, words }) => CODE.includes(language) && !words.has('file') && !words.has('fragment'),
    );
    t.strictSame(
      mute.map(({ line }) => `README.md:${line}: neither file= nor fragment`),
      [],
    );
    t.ok(
      blocks.some(({ words }) => words.has('run')),
      'something is run',
    );
  });

  const typed = blocks.map(({ words }) => words.get('file') ?? '').filter((file) => /\.m?ts$/.test(file));
  if (typed.length > 0) {
    await t.test('the typed examples compile at the strictest settings', async (t) => {
      const types = join(ROOT, 'node_modules/@types');
      const compilerOptions = {
        ...{
          target: 'es2022',
          lib: ['es2023', 'esnext.disposable'],
          module: 'nodenext',
          types: ['node'],
          typeRoots: [types],
        },
        ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
      };
      writeFileSync(join(FOLDER, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: typed }));
      // Not bin/tsc: under tap a module whose file has no extension is taken for CommonJS, and fails.
      const tsc = join(ROOT, 'node_modules/typescript/lib/tsc.js');
      const { code, stdout, stderr } = await run(process.execPath, [tsc, '-p', '.']);
      t.equal(code, 0, `no complaint ${stdout}${stderr}`);
    });
  }

  for (const [index, { line, language, words, text }] of blocks.entries()) {
    const file = words.get('file');
    if (!words.has('run')) {
      if (file === undefined || !/\.m?js$/.test(file)) continue;
      await t.test(`line ${line}: ${file} is sound`, async (t) => {
        const { code, stderr } = await run(process.execPath, ['--check', file]);
        t.equal(code, 0, stderr);
      });
      continue;
    }
    await t.test(`line ${line}: ${file ?? language} runs as shown`, async (t) => {
      const running: [server: string, child: ChildProcess][] = [];
      try {
        for (const server of words.get('with')?.split(',') ?? []) running.push([server, await startServer(server)]);
        const ran = await (file === undefined ? run('sh', ['-euc', text]) : run(process.execPath, [runnable(file)]));
        t.equal(ran.code, 0, `exits with 0 ${ran.stderr}`);
        const next = blocks[index + 1];
        if (next?.words.has('output') === true && !fits(ran.stdout, next.text)) {
          t.equal(ran.stdout, next.text, `prints what line ${next.line} shows`);
        }
      } finally {
        for (const [server, child] of running.reverse()) {
          t.equal(await stopServer(child), 0, `${server} ends by itself at SIGTERM`);
        }
      }
    });
  }
});

t.test('the files that the README links to are there', async (t) => {
  const markdown = readFileSync(join(ROOT, 'README.md'), 'utf8').replace(/^(`{3,})[\s\S]*?^\1/gm, '');
  const links = [...markdown.matchAll(/\]\(([^)\s#]+)(?:#[^)\s]*)?\)/g)].map((found) => found[1] ?? '');
  t.strictSame(
    links.filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(ROOT, link))),
    [],
  );
});
