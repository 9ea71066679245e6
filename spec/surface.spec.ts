// The public surface is a list, kept by hand in fixtures/surface.json: a name can neither slip out nor vanish unnoticed.
// Compared with the compiled doors: what can be imported at run time, and (from the declarations) the types beside it.
// Every name must be explained in the README too: there it stands in code, as `name`, `name(`, `name<` or `name.`.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';

interface Door {
  readonly values: readonly string[];
  readonly types: readonly string[];
}

const ROOT = new URL('../../', import.meta.url);
const DOORS: Readonly<Record<string, string>> = {
  wsd: 'index',
  'wsd/browser': 'browser/index',
  'wsd/browser/node': 'browser/node',
  'wsd/conform': 'conform/index',
};
const text = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const documented = JSON.parse(text('fixtures/surface.json')) as Readonly<Record<string, Door>>;

interface Exports {
  readonly names: string[];
  /** The files of which everything is exported: their names count as well. */
  readonly stars: string[];
}

/** What a declaration file exports, however it is written. */
function exportsOf(declarations: string): Exports {
  const code = declarations.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  const lists = [...code.matchAll(/\bexport\s+(?:type\s+)?\{([^}]*)\}/g)].flatMap((found) =>
    (found[1] ?? '').split(','),
  );
  const listed = lists.map((item) => /(\S+)\s*$/.exec(item)?.[1] ?? '').filter((name) => name !== '');
  const declared =
    /\bexport\s+(?:declare\s+)?(?:abstract\s+)?(?:const|let|function|class|interface|type)\s+(?!\{)([\w$]+)/g;
  const names = [...listed, ...[...code.matchAll(declared)].map((found) => found[1] ?? '')];
  const stars = [...code.matchAll(/\bexport\s+(?:type\s+)?\*\s+from\s+['"]([^'"]+)['"]/g)].map(
    (found) => found[1] ?? '',
  );
  return { names: [...new Set(names)].sort(), stars };
}

/** The names behind a door, those behind its stars among them. */
function namesBehind(declarations: URL): string[] {
  const { names, stars } = exportsOf(readFileSync(declarations, 'utf8'));
  const more = stars.flatMap((star) => namesBehind(new URL(star.replace(/\.js$/, '.d.ts'), declarations)));
  return [...new Set([...names, ...more])].sort();
}

t.test('exports are read from declarations, however they are written', async (t) => {
  const read = exportsOf(`
    // export { no } from './no.js';
    export { a, b as c, type D } from './x.js'; /* export type { no } */
    export type { E, F as G } from './y.js';
    export declare const h: number;
    export declare function i(): void;
    export declare class J {}
    export interface K {}
    export type L<T> = T;
    export * from './m.js';
    export type * from "./n.js";
    export {};
  `);
  t.strictSame(read, { names: ['D', 'E', 'G', 'J', 'K', 'L', 'a', 'c', 'h', 'i'], stars: ['./m.js', './n.js'] });
});

t.strictSame(Object.keys(documented), Object.keys(DOORS), 'every door has its list');

for (const [door, file] of Object.entries(DOORS)) {
  const { values, types } = documented[door] ?? { values: [], types: [] };

  t.test(`${door} exports what is listed, and nothing else`, async (t) => {
    const module = (await import(new URL(`../lib/${file}.js`, import.meta.url).href)) as Readonly<
      Record<string, unknown>
    >;
    const names = namesBehind(new URL(`../lib/${file}.d.ts`, import.meta.url));
    const runtime = Object.keys(module).sort();
    t.strictSame(runtime, [...values].sort(), 'values');
    t.strictSame(
      names.filter((name) => !runtime.includes(name)),
      [...types].sort(),
      'types',
    );
    t.strictSame(
      runtime.filter((name) => !names.includes(name)),
      [],
      'every value is declared',
    );
    t.strictSame(
      runtime.filter((name) => module[name] === undefined),
      [],
      'every value is there once its module has run',
    );
  });

  t.test(`the README explains every name of ${door}`, async (t) => {
    const code = [...text('README.md').matchAll(/`([^`\n]+)`/g)].map((found) => found[1] ?? '');
    const explained = new Set(
      code.flatMap((span) => /^(?:new |await |type )?([\w$]+)(?:$|[(<.? ])/.exec(span)?.[1] ?? []),
    );
    t.strictSame(
      [...values, ...types].filter((name) => !explained.has(name)),
      [],
    );
  });
}

t.test('the maps of what is shipped lead to sources that are shipped', async (t) => {
  const { files } = JSON.parse(text('package.json')) as { readonly files: readonly string[] };
  const maps = readdirSync(new URL('build/lib/', ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.map'))
    .map((name) => new URL(`build/lib/${name}`, ROOT));
  t.ok(maps.length > 500, 'there are maps');
  const astray = maps.filter((map) => {
    const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { readonly sources: readonly string[] };
    return sources.some((source) => {
      const { href } = new URL(source, map);
      const path = href.slice(ROOT.href.length);
      return (
        !href.startsWith(ROOT.href) ||
        !files.some((shipped) => path.startsWith(`${shipped}/`)) ||
        !existsSync(new URL(path, ROOT))
      );
    });
  });
  t.strictSame(
    astray.map(({ href }) => href.slice(ROOT.href.length)),
    [],
  );
});
