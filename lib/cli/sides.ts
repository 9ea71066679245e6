// Who sent the bytes that `wsd decode` is given, as --from says it.

export const SIDES = ['client', 'server'] as const;
