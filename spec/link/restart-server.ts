// A server of packet sessions in a process of its own, for the spec that kills it: listens on the port it is given, prints it, echoes. Not a spec.

import { createServer } from '../../lib/index.js';

const server = createServer({ packets: {} });
server.on('session', (session) => {
  session.on('message', (data) => {
    // What is to be lost is told, but never acknowledged: the process dies first.
    if (Buffer.from(data).toString() === 'die') process.kill(process.pid, 'SIGKILL');
    session.send(data);
  });
});
const { port } = await server.listen(Number(process.argv[2] ?? 0));
process.stdout.write(`${port}\n`);
