// What is asked and answered, the same in every case: a small document, told apart by its place.
import * as z from 'zod/mini';
import { defineScope, type Scope } from '../../../lib/package/scope.js';

export interface Note {
  readonly place: number;
  readonly title: string;
  readonly author: { readonly name: string; readonly id: string };
  readonly tags: readonly string[];
  readonly open: boolean;
}

export const noteOf = (place: number): Note => ({
  place,
  title: 'what was said about the harvest',
  author: { name: 'Ada', id: '175928847299117063' },
  tags: ['rye', 'oats', 'barley'],
  open: place % 2 === 0,
});

export const isNote = (value: unknown, { place, title, tags }: Note): boolean => {
  const found = value as Note | undefined;
  return found?.place === place && found.title === title && found.tags?.length === tags.length;
};

const schema: z.ZodMiniType<Note, Note> = z.strictObject({
  place: z.int(),
  title: z.string().check(z.maxLength(120)),
  author: z.strictObject({ name: z.string(), id: z.string() }),
  tags: z.readonly(z.array(z.string()).check(z.maxLength(8))),
  open: z.boolean(),
});

export const NOTE: Scope<Note, Note> = defineScope({ id: 1000, name: 'NOTE', body: schema, reply: schema });

/** What goes over a bare WebSocket: an id, so that a reply finds its request, as a package and an ack have one. */
export interface Bare {
  readonly id: number;
  readonly body: Note;
}
