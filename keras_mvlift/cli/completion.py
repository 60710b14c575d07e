"""A shell's completion of commands, options and choices; no Python runs while it completes.

`eval "$(keras-mvlift completion bash)"`
"""

import argparse
from collections.abc import Iterator

from keras_mvlift.cli import arguments, commands

# What is typed: the number of the word, the command, the word before, the word itself.
_SCRIPT = """\
_keras_mvlift() {{
  local words= word=${{COMP_WORDS[COMP_CWORD]}}
  case "$COMP_CWORD:${{COMP_WORDS[1]}}:${{COMP_WORDS[COMP_CWORD-1]}}:$word" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _keras_mvlift keras-mvlift
"""
_OF_ZSH = "autoload -U +X compinit && compinit && autoload -U +X bashcompinit && bashcompinit\n"


def run(options: argparse.Namespace) -> int:
    """Prints the script; returns the exit status."""
    print((_OF_ZSH if options.shell == "zsh" else "") + script(), end="")
    return 0


def script() -> str:
    """Returns what a shell runs; where it knows no word, file names are completed."""
    found = [f"1:*) words='{' '.join((*commands.COMMANDS, '--help', '--version'))}' ;;"]
    for name, command in commands.COMMANDS.items():
        parser = arguments.Parser()
        command.add_arguments(parser)
        found += [f"{pattern}) words='{words}' ;;" for pattern, words in _cases(name, parser)]
    return _SCRIPT.format(cases="\n".join(f"    {case}" for case in found))


def _cases(name: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yields a pattern of what is typed, and the words that may stand there."""
    known = [option for option in parser._option_string_actions if option.startswith("--")]
    yield f"*:{name}:*:-*", " ".join(known)
    place = 1
    for action in parser._actions:
        is_positional = not action.option_strings
        place += is_positional
        choices = arguments.shipped_models() if action.dest == "model" else action.choices
        if choices:
            before = (
                f"{place}:{name}:*" if is_positional else f"*:{name}:{action.option_strings[-1]}"
            )
            yield f"{before}:*", " ".join(map(str, choices))
