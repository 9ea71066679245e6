// Whether what must not compile does not, and for the reason that is meant: packages.ts without its directives is given to the compiler, and the
// errors it finds are compared with those that stand there, line by line. A wrong body, a wrong answer and an unknown scope are among them.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
/** Compiled specs are in build/spec/types, or another folder beside lib. */
const ROOT = here('../../../');
const SOURCE = `${ROOT}spec/types/packages.ts`;

interface Expected {
  readonly line: number;
  readonly code: string;
  readonly what: string;
}

const DIRECTIVE = /^\s*\/\/ @ts-expect-error (TS\d+) (.+)$/;

const expectedOf = (text: string): Expected[] =>
  text.split('\n').flatMap((line, at) => {
    const found = DIRECTIVE.exec(line);
    return found === null ? [] : [{ line: at + 2, code: found[1] ?? '', what: found[2] ?? '' }];
  });

/** Lines and codes of what the compiler says of one file. */
const errorsIn = (name: string, output: string): { readonly line: number; readonly code: string }[] =>
  output.split('\n').flatMap((line) => {
    const found = /^(.+)\((\d+),\d+\): error (TS\d+):/.exec(line);
    return found?.[1]?.endsWith(name) === true ? [{ line: Number(found[2]), code: found[3] ?? '' }] : [];
  });

const compile = (t: Test, text: string): Promise<string> => {
  const folder = t.testdir({
    'packages.ts': text.replaceAll("'../../lib/", `'${ROOT}lib/`),
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({
      extends: `${ROOT}tsconfig.json`,
      compilerOptions: {
        noEmit: true,
        incremental: false,
        tsBuildInfoFile: null,
        rootDir: '/',
        declaration: false,
        declarationMap: false,
        isolatedDeclarations: false,
        typeRoots: [`${ROOT}node_modules/@types`],
        paths: { zod: [`${ROOT}node_modules/zod/index.d.ts`], 'zod/mini': [`${ROOT}node_modules/zod/mini/index.d.ts`] },
      },
      include: [],
      files: ['packages.ts'],
    }),
  });
  return new Promise((done) => {
    // What tap loads into each process of Node is nothing for the compiler.
    const words = ['-u', 'NODE_OPTIONS', `${ROOT}node_modules/.bin/tsc`, '-p', folder];
    execFile('env', words, { timeout: 50_000 }, (_, out) => done(out));
  });
};

t.test('what must not compile does not, each line for its own reason', async (test) => {
  test.ok(existsSync(here('./packages.js')), 'the usual compiler run compiles the file');
  const text = readFileSync(SOURCE, 'utf8');
  const expected = expectedOf(text);
  test.equal(expected.length, text.split('@ts-expect-error').length - 1, 'each directive says which error it expects');
  for (const what of ['a member of another type', 'an answer of another type', 'a scope that nobody defined']) {
    test.ok(
      expected.some((one) => one.what === what),
      what,
    );
  }
  const output = await compile(test, text.replaceAll('@ts-expect-error', 'expected:'));
  const found = errorsIn('packages.ts', output);
  for (const { line, code, what } of expected) {
    test.same(
      found.filter((one) => one.line === line).map((one) => one.code),
      [code],
      `line ${line}: ${what}`,
    );
  }
  const lines = new Set(expected.map(({ line }) => line));
  test.strictSame(
    found.filter(({ line }) => !lines.has(line)),
    [],
    'and everything else compiles',
  );
});
