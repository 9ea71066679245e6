// The first service and the first front: made with a new data directory, so that there is something to connect with.
import { access, readdir } from 'node:fs/promises';
import { addLocked, type Handed, type NewCredential } from './credentials.js';
import { fileOfCredential, type Home, placeIn } from './home.js';
import { locked } from './lock.js';

export const FIRST_NODES = { service: 'service-1', front: 'front-1' } as const;

/** undefined: this directory knows, or has known, nodes already. */
export const firstNodes = async (
  home: Home,
  where: Pick<NewCredential, 'url' | 'audience' | 'lease'>,
): Promise<Readonly<Record<keyof typeof FIRST_NODES, Handed>> | undefined> => {
  if (!home.unknown) return undefined;
  return locked(home.directory, async () => {
    // Who began at the same time has made them.
    if ((await readdir(placeIn(home.directory, 'nodes'))).length > 0) return undefined;
    const service = await addLocked(home, { ...where, node: FIRST_NODES.service, role: 'service' });
    const front = await addLocked(home, { ...where, node: FIRST_NODES.front, role: 'front' });
    return { service, front };
  });
};

/** The file of the first service's credential, while it lies where it was made: who shuts a node out removes it. */
export const firstService = async ({ directory }: Home): Promise<string | undefined> => {
  const file = fileOfCredential(directory, FIRST_NODES.service);
  return access(file).then(
    () => file,
    () => undefined,
  );
};
