// What a program about servers and connections may leave unsaid: the compiler reads this file with the specs, and that it compiles is the spec.
// `Server` and `Connection` without an argument are any server and any connection, whatever their data. Not a spec itself.
import { type Connection, createServer, type Server } from '../../lib/index.js';

export class Chat {
  readonly server: Server = createServer({}, (connection: Connection) => this.greet(connection));

  greet(connection: Connection): void {
    connection.send('welcome');
  }
}

export const plain: Server = createServer({}, (connection: Connection) => void connection.send('x'));

const stop = (server: Server): Promise<unknown> => server.close();

const shout = (server: Server, except?: Connection): void => {
  for (const connection of server.connections) if (connection !== except) connection.send('HEY');
  server.broadcast('hey', { except, filter: (connection) => connection.state === 'open' });
  server.on('connection', (connection) => void connection.close());
};

interface Who {
  readonly name: string;
}

const named = createServer({ authorize: () => ({ data: { name: 'x' } as Who }) }, (connection) => {
  connection.send(connection.data.name);
  shout(named, connection);
});

export const all: readonly Promise<unknown>[] = [
  stop(named),
  stop(plain),
  stop(createServer()),
  stop(new Chat().server),
];

named.broadcast('to some', { filter: ({ data }) => data.name !== 'y' });

// @ts-expect-error what an authorized server knows of its connections is more than nothing
export const wrong: Server<Who> = plain;
