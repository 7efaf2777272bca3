"""What a command line holds, for those who describe it: the manual page and the completions. argparse shows it to
nobody, so beside the parsers themselves this is the one place that reads its insides."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands below this one, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def helps_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The line about each command below this one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {}


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its options, in order."""
    return (action for action in parser._actions if action.option_strings)


def operands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What is given by its place, in order; without commands."""
    return (
        action
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
    )
