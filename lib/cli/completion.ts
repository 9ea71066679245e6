// `wsd completion bash|zsh|fish`: a script for the shell, made from the commands themselves, so that it never lags behind them.
import { type Command, EXIT, type Io, UsageError } from './command.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const USAGE = `wsd completion ${SHELLS.join('|')}`;

const HELP = `usage: ${USAGE}

Prints a completion script for your shell:

  bash   wsd completion bash > ~/.local/share/bash-completion/completions/wsd
  zsh    wsd completion zsh > "\${fpath[1]}/_wsd"
  fish   wsd completion fish > ~/.config/fish/completions/wsd.fish
`;

const bash = (commands: readonly Command[]): string => {
  const cases = commands.map(({ name, flags }) => `    ${name}) words='${(flags ?? ['--help']).join(' ')}' ;;`);
  return `# completion of wsd for bash
_wsd() {
  local words word="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='' ;;
  esac
  if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$words" -- "$word")); else COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -o filenames -F _wsd wsd
`;
};

const zsh = (commands: readonly Command[]): string => {
  const names = commands.map(
    ({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`,
  );
  const cases = commands.map(
    ({ name, flags }) => `    ${name}) compadd -- ${(flags ?? ['--help']).join(' ')}; _files ;;`,
  );
  return `#compdef wsd
_wsd() {
  local -a commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case $words[2] in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _wsd ]; then _wsd "$@"; else compdef _wsd wsd; fi
`;
};

const fish = (commands: readonly Command[]): string => {
  const lines = commands.flatMap(({ name, summary, flags }) => [
    `complete -c wsd -n __fish_use_subcommand -f -a ${name} -d '${summary.replaceAll("'", "\\'")}'`,
    ...(flags ?? ['--help']).map(
      (flag) => `complete -c wsd -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`,
    ),
  ]);
  return `# completion of wsd for fish\n${lines.join('\n')}\n`;
};

const WRITERS: Readonly<Record<Shell, (commands: readonly Command[]) => string>> = { bash, zsh, fish };

export const completion = (commands: () => readonly Command[]): Command => ({
  name: 'completion',
  summary: 'print a completion script for bash, zsh or fish',
  usage: USAGE,
  help: HELP,
  run: async (args: readonly string[], io: Io): Promise<number> => {
    const shell = SHELLS.find((one) => one === args[0]);
    if (shell === undefined || args.length > 1) throw new UsageError(`name one shell: ${SHELLS.join(', ')}`);
    io.stdout.write(WRITERS[shell](commands()));
    return EXIT.ok;
  },
});
