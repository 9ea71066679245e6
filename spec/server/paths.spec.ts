import t from 'tap';
import { judgePath, type PathOption, parsePaths } from '../../lib/server/paths.js';

t.test('a path is compared exactly, or by a prefix that ends at a slash', (t) => {
  const table: readonly (readonly [PathOption | undefined, yes: readonly string[], no: readonly string[]])[] = [
    [undefined, ['/', '/chat', '/a/b/c'], []],
    ['*', ['/', '/chat'], []],
    ['/*', ['/', '/chat/a'], []],
    ['/', ['/'], ['/chat', '//', '']],
    ['/chat', ['/chat'], ['/', '/chat/', '/Chat', '/chatter', '/chat/a', '/a/chat', '/constructor']],
    ['/chat/*', ['/chat/', '/chat/a', '/chat/a/b'], ['/chat', '/chatter', '/chat-admin/', '/Chat/a']],
    [
      ['/chat', '/chat/*', '/live'],
      ['/chat', '/chat/a', '/live'],
      ['/', '/live/a', '/livechat'],
    ],
    [['/chat', '*'], ['/anything'], []],
    [[], [], ['/', '/chat']],
    ['/caf%C3%A9', ['/caf%C3%A9'], ['/caf\u00e9', '/caf%c3%a9']],
    [(path) => path.length > 3, ['/chat'], ['/a']],
  ];
  for (const [option, yes, no] of table) {
    const rule = parsePaths(option);
    for (const path of yes) t.equal(judgePath(path, rule), undefined, `${String(option)}: ${path}`);
    for (const path of no) t.equal(judgePath(path, rule), 'WSD_UPGRADE_PATH', `${String(option)}: ${path}`);
  }
  t.end();
});

t.test('a rule that could never match throws when it is made', (t) => {
  const slips = [
    '',
    'chat',
    'chat/*',
    '/chat*',
    '/*/chat',
    '/chat/**',
    '/chat?a',
    '/chat#a',
    '/a b',
    '/a\\b',
    '/caf\u00e9',
    '/a/../b',
    '/./a',
    '/..',
    '/a\u0000',
  ];
  for (const slip of slips) {
    t.throws(() => parsePaths(slip), TypeError, JSON.stringify(slip));
    t.throws(() => parsePaths(['/fine', slip]), TypeError, `${JSON.stringify(slip)} in a list`);
  }
  t.end();
});

t.test('a function opens the door only by true, and its throw stays inside', (t) => {
  t.equal(
    judgePath(
      '/%ff',
      parsePaths((path) => decodeURIComponent(path) === '/x'),
    ),
    'WSD_UPGRADE_FAILED',
  );
  const promise = (async () => true) as unknown as () => boolean;
  t.equal(judgePath('/chat', parsePaths(promise)), 'WSD_UPGRADE_PATH');
  t.end();
});
