"""Completions for bash, zsh and fish, made from the command line's own description."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from .command_context import CommandContext
from .command_line import build
from .exit_codes import Exit
from .parser_contents import commands_of, helps_of, operands_of, options_of


def completion(command: CommandContext) -> int:
    """Write the completions for one shell."""
    parser = build()
    command.say({"bash": bash, "zsh": zsh, "fish": fish}[command.arguments.shell](parser))
    return Exit.DONE


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """What may follow: commands, options, and the values of operands that are a choice."""
    words = list(commands_of(parser))
    words += [text for action in options_of(parser) for text in action.option_strings if text.startswith("--")]
    for action in (*operands_of(parser), *options_of(parser)):
        words += [str(choice) for choice in action.choices or ()]
    return words


def bash(parser: argparse.ArgumentParser) -> Iterator[str]:
    """For ``~/.local/share/bash-completion/completions/ipactl``."""
    yield "# bash completion for ipactl"
    yield "_ipactl() {"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" command="" words="" each'
    yield '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f'        case " {" ".join(commands_of(parser))} " in *" $each "*) command="$each"; break;; esac'
    yield "    done"
    yield '    case "$command" in'
    for name, below in commands_of(parser).items():
        nested = [word for action in commands_of(below).values() for word in _words(action)]
        yield f'        {name}) words="{" ".join(dict.fromkeys([*_words(below), *nested]))}";;'
    yield f'        *) words="{" ".join(_words(parser))}";;'
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$word"))'
    with_files = "decode|bundle|config|doctor|record|setup"
    yield f'    case "$command" in {with_files}) COMPREPLY+=($(compgen -f -- "$word"));; esac'
    yield "}"
    yield "complete -F _ipactl ipactl"


def zsh(parser: argparse.ArgumentParser) -> Iterator[str]:
    """For a file ``_ipactl`` in a folder of ``fpath``."""
    yield "#compdef ipactl"
    yield "_ipactl() {"
    yield "    local -a commands"
    yield "    commands=("
    for name, help in helps_of(parser).items():
        yield f"        {_quoted(f'{name}:{help}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield '    case "$words[2]" in'
    for name, below in commands_of(parser).items():
        yield f"        {name}) compadd -- {' '.join(_words(below))};;"
    yield "    esac"
    yield "    _files"
    yield "}"
    yield '_ipactl "$@"'


def fish(parser: argparse.ArgumentParser) -> Iterator[str]:
    """For ``~/.config/fish/completions/ipactl.fish``."""
    for name, help in helps_of(parser).items():
        yield f"complete -c ipactl -n __fish_use_subcommand -f -a {name} -d {_quoted(help)}"
    for name, below in commands_of(parser).items():
        seen = f"'__fish_seen_subcommand_from {name}'"
        for action in options_of(below):
            long = next((text[2:] for text in action.option_strings if text.startswith("--")), None)
            value = "" if action.nargs == 0 else " -r"
            if action.choices:
                value += f" -f -a {_quoted(' '.join(str(choice) for choice in action.choices))}"
            if long is not None:
                yield f"complete -c ipactl -n {seen} -l {long}{value} -d {_quoted(action.help or '')}"
        values = [
            *commands_of(below),
            *(str(choice) for action in operands_of(below) for choice in action.choices or ()),
        ]
        if values:
            yield f"complete -c ipactl -n {seen} -f -a {_quoted(' '.join(values))}"


def _quoted(text: str) -> str:
    """For a shell, in single quotation marks."""
    return "'" + text.replace("'", "'\\''") + "'"
