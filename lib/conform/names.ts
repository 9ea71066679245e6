// The names of all cases of one side, for whoever wants to know whether a pattern names any.
import { loadCases } from './catalogue.js';
import { answerOpenings } from './opening-answers.js';
import { openingIds } from './opening-requests.js';

/** server: the testee is a server. client: it is a client. */
export const caseIds = (testee: 'server' | 'client'): readonly string[] => [
  ...loadCases().map(({ id }) => id),
  ...(testee === 'server' ? openingIds() : answerOpenings().map(({ id }) => id)),
];
