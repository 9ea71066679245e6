// `wsd completion bash|zsh|fish`: a script for the shell, made from the commands themselves, so that it never lags behind them. Behind a flag it
// offers the values that flag has, or files, or nothing; elsewhere flags, or the words that the command takes.
import { type Command, EXIT, type FlagWord, type Io, UsageError } from './command.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const USAGE = `wsd completion ${SHELLS.join('|')}`;

const HELP = `usage: ${USAGE}

Prints a completion script for your shell:

  bash   wsd completion bash > ~/.local/share/bash-completion/completions/wsd
  zsh    wsd completion zsh > "\${fpath[1]}/_wsd"
  fish   wsd completion fish > ~/.config/fish/completions/wsd.fish
`;

const HELP_ONLY: readonly FlagWord[] = [{ word: '--help', short: '-h', takes: 'nothing', choices: [] }];

const flagsOf = ({ flags = HELP_ONLY }: Command): readonly FlagWord[] => flags;

/** The patterns of a shell's `case` for what stands before the cursor: `'serve --log-level'|'serve -l'`. */
const before = (name: string, flags: readonly FlagWord[]): string =>
  flags
    .flatMap(({ word, short }) => (short === undefined ? [word] : [word, short]))
    .map((word) => `'${name} ${word}'`)
    .join('|');

interface Offers {
  readonly words: (words: readonly string[]) => string;
  readonly files: string;
  readonly nothing: string;
}

/** What may follow each flag that takes a value; flags that say the same share a line. */
const valueCases = (commands: readonly Command[], offers: Offers): string[] =>
  commands.flatMap((command) => {
    const flags = flagsOf(command);
    const line = (some: readonly FlagWord[], offer: string): string[] =>
      some.length === 0 ? [] : [`    ${before(command.name, some)}) ${offer} ;;`];
    const words = flags.filter(({ takes }) => takes === 'word');
    return [
      ...words.filter(({ choices }) => choices.length > 0).flatMap((flag) => line([flag], offers.words(flag.choices))),
      ...line(
        flags.filter(({ takes }) => takes === 'file'),
        offers.files,
      ),
      ...line(
        words.filter(({ choices }) => choices.length === 0),
        offers.nothing,
      ),
    ];
  });

const bash = (commands: readonly Command[]): string => {
  const cases = valueCases(commands, {
    words: (words) => `_wsd_offer '${words.join(' ')}' "$word"; return`,
    files: '_wsd_files "$word"; return',
    nothing: 'return',
  });
  const rest = commands.map(
    (command) =>
      `    ${command.name}) flags='${flagsOf(command)
        .map(({ word }) => word)
        .join(' ')}' words='${(command.words ?? []).join(' ')}' ;;`,
  );
  return `# completion of wsd for bash
_wsd_offer() {
  COMPREPLY=($(compgen -W "$1" -- "$2"))
}
_wsd_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$1"))
}
_wsd() {
  local command="\${COMP_WORDS[1]}" word="\${COMP_WORDS[COMP_CWORD]}" before='' flags='' words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    _wsd_offer '${commands.map(({ name }) => name).join(' ')} --help --version' "$word"
    return
  fi
  before="\${COMP_WORDS[COMP_CWORD-1]}"
  # bash takes --flag=value for three words
  if [ "$word" = '=' ]; then word=''; elif [ "$before" = '=' ]; then before="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  case "$command $before" in
${cases.join('\n')}
  esac
  case "$command" in
${rest.join('\n')}
  esac
  if [[ "$word" == -* ]]; then _wsd_offer "$flags" "$word"; else _wsd_offer "$words" "$word"; fi
}
complete -F _wsd wsd
`;
};

const zsh = (commands: readonly Command[]): string => {
  const names = commands.map(
    ({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`,
  );
  const cases = valueCases(commands, {
    words: (words) => `compadd -- ${words.join(' ')}; return`,
    files: '_files; return',
    nothing: 'return',
  });
  const rest = commands.map((command) => {
    const offer = `compadd -- ${flagsOf(command)
      .map(({ word }) => word)
      .join(' ')}`;
    const words = command.words === undefined ? '' : ` compadd -- ${command.words.join(' ')};`;
    return `    ${command.name})${words} ${offer} ;;`;
  });
  return `#compdef wsd
_wsd() {
  local -a commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case "$words[2] $words[CURRENT-1]" in
${cases.join('\n')}
  esac
  case $words[2] in
${rest.join('\n')}
  esac
}
if [ "$funcstack[1]" = _wsd ]; then _wsd "$@"; else compdef _wsd wsd; fi
`;
};

const fish = (commands: readonly Command[]): string => {
  const lines = commands.flatMap((command) => {
    const { name, summary, words } = command;
    const here = `complete -c wsd -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c wsd -n __fish_use_subcommand -a ${name} -d '${summary.replaceAll("'", "\\'")}'`,
      ...(words === undefined ? [] : [`${here} -a '${words.join(' ')}'`]),
      ...flagsOf(command).map(({ word, short, takes, choices }) => {
        const spelled = `-l ${word.slice(2)}${short === undefined ? '' : ` -s ${short.slice(1)}`}`;
        const value = takes === 'nothing' ? '' : takes === 'file' ? ' -r -F' : ' -x';
        return `${here} ${spelled}${value}${choices.length === 0 ? '' : ` -a '${choices.join(' ')}'`}`;
      }),
    ];
  });
  // Nothing but a flag's value is a file.
  return `# completion of wsd for fish\ncomplete -c wsd -f\n${lines.join('\n')}\n`;
};

const WRITERS: Readonly<Record<Shell, (commands: readonly Command[]) => string>> = { bash, zsh, fish };

export const completion = (commands: () => readonly Command[]): Command => ({
  name: 'completion',
  summary: 'print a completion script for bash, zsh or fish',
  usage: USAGE,
  help: HELP,
  words: SHELLS,
  run: async (args: readonly string[], io: Io): Promise<number> => {
    const shell = SHELLS.find((one) => one === args[0]);
    if (shell === undefined || args.length > 1) throw new UsageError(`name one shell: ${SHELLS.join(', ')}`);
    io.stdout.write(WRITERS[shell](commands()));
    return EXIT.ok;
  },
});
