// What zod has found wrong with options → one TypeError that names each of them.
import type * as z from 'zod';

export const explain = (what: string, error: z.ZodError): TypeError =>
  new TypeError(
    `${what}: ${error.issues
      .map((issue) => (issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`))
      .join('; ')}`,
  );
