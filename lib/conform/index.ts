// The door of 'wsd/conform': a fuzzing client for any server, a fuzzing server for any client, our own client as the tested side, and
// reports. Re-exports only.
export type { Behavior, Case, CaseResult, CloseGrade, Verdict, WireEntry } from './case.js';
export { loadCatalogue } from './catalogue.js';
export { type ClientListener, type ListenForClientsOptions, listenForClients } from './fuzz-client.js';
export { runServerCases, type ServerCasesOptions, UnreachableError } from './fuzz-server.js';
export { caseIds } from './names.js';
export { writeHtml, writeJson, writeReport } from './report.js';
export { hasPassed, type Report, summarize, type Tally, tally } from './result.js';
export {
  type ClientGrade,
  type ClientRun,
  type EchoConnection,
  type RunClientOptions,
  runClient,
} from './run-client.js';
export { isSelected, parsePatterns } from './select.js';
