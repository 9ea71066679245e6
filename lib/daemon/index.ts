// The door of the daemon: what the commands use. Re-exports only.

export { NO_CONFIG, readConfig } from './config.js';
export { type Config, type ListenConfig, LOG_LEVELS, type LogLevel, type SessionsConfig } from './config-types.js';
export { addNode, type Grants, type Handed, type NewCredential, removeNode, rotateKey } from './credentials.js';
export { type Daemon, type DaemonSettings, startDaemon } from './daemon.js';
export { DaemonError } from './daemon-error.js';
export { FIRST_NODES, firstNodes, firstService } from './first-nodes.js';
export { type Home, openHome, placeIn } from './home.js';
export { readLastRun } from './last-run.js';
export { pinOf } from './server-options.js';
export type { DaemonLog } from './telling.js';
