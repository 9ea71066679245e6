// A bug in a listener is not silent: it goes to the connection, else to the server, else it is a warning of the process. What a peer does wrong
// is no bug.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { upgrade } from '../../fixtures/rig/wire.js';
import { type Connection, connect } from '../../lib/index.js';
import { open, until } from './scene.js';

const warningsOf = (test: Test): Error[] => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => {
    if (warning.name === 'WsdWarning') warnings.push(warning);
  };
  process.on('warning', listen);
  test.teardown(() => process.off('warning', listen));
  return warnings;
};

const failing = (text: string) => (connection: Connection<undefined>) => {
  connection.on('message', async () => {
    throw new Error(text);
  });
};

t.test('nobody listens anywhere: a warning with the stack, once for each text', async (test) => {
  const warnings = warningsOf(test);
  const { server, listening } = await open(test, {}, failing('boom one'));
  server.removeAllListeners('error');
  for (let i = 0; i < 3; i++) {
    const client = await connect(listening.url);
    client.send('x');
    test.match(await client.closed, { code: 1011 });
  }
  test.ok(await until(() => warnings.length > 0));
  test.equal(warnings.length, 1);
  test.match(
    warnings[0]?.stack,
    /^WsdWarning: nobody listens to 'error'; told once: Error: boom one\n {4}at .*unheard/,
  );
});

t.test('the server hears what a connection has no listener for', async (test) => {
  const warnings = warningsOf(test);
  const heard: unknown[] = [];
  const { server, listening, connections } = await open(test, {}, failing('boom two'));
  server.on('error', (error, connection) => heard.push(error.message, connection === connections[0]));
  const client = await connect(listening.url);
  client.send('x');
  await client.closed;
  test.ok(await until(() => heard.length > 0));
  test.same(heard.slice(-2), ['boom two', true]);
  test.equal(server.counters()['errors'], 1);
  test.same(warnings, []);
});

t.test('a connection that has a listener hears it alone', async (test) => {
  const warnings = warningsOf(test);
  const heard: string[] = [];
  const { listening, errors } = await open(test, {}, (connection: Connection<undefined>) => {
    failing('boom three')(connection);
    connection.on('error', (error) => heard.push(error.message));
  });
  const client = await connect(listening.url);
  client.send('x');
  await client.closed;
  test.ok(await until(() => heard.length > 0));
  test.equal(heard[0], 'boom three');
  test.same(errors, []);
  test.same(warnings, []);
});

t.test('what a peer does wrong is no bug', async (test) => {
  const warnings = warningsOf(test);
  const { port, errors, connections } = await open(test);
  const wire = await upgrade(port);
  wire.sendFrame({ opcode: 3, payload: 'reserved' });
  await wire.ended();
  test.ok(await until(() => connections[0]?.state === 'closed'));
  test.same(errors, []);
  test.same(warnings, []);
});

t.test('messages that nobody takes: it is said when reading stops, once a connection', async (test) => {
  const told: string[] = [];
  const { server, listening, connections } = await open(test, {}, () => {});
  server.on('error', (error, connection) => told.push(`${error.message} ${connection === connections[0]}`));
  const client = await connect(listening.url);
  for (let i = 0; i < 300; i++) client.send('x');
  test.ok(await until(() => told.length > 0));
  test.match(told, [/^messages wait and nobody takes them.*add a 'message' listener.* true$/]);
  connections[0]?.on('message', () => {});
  test.match(await client.close(), { code: 1000, clean: true });
  test.equal(told.length, 1);
});

t.test('a process does not end before the end of a connection is told', async (test) => {
  const program = `
    import { connect, createServer } from ${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)};
    const server = createServer({}, (connection) => void connection.send('hi'));
    const client = await connect((await server.listen()).url, { closeTimeout: 300 });
    await server.close({ drain: 200 });
    console.log((await client.closed).code);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  test.same(await once(child, 'close'), [0, null]);
  test.equal(said, '1001\n');
});

t.test('the same at a client', async (test) => {
  const warnings = warningsOf(test);
  const { listening } = await open(test, {}, (connection: Connection<undefined>) => void connection.send('hello'));
  const client = await connect(listening.url);
  client.on('message', () => {
    throw new TypeError('boom four');
  });
  test.match(await client.closed, { code: 1011 });
  test.ok(await until(() => warnings.length === 1));
  test.match(warnings[0]?.stack, /told once: TypeError: boom four/);
});
