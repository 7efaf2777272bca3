"""A parser that knows what was probably meant: for people who guess, on a screen of 24 short lines."""

from __future__ import annotations

import argparse
from typing import Any, Final, NoReturn

from ipad_agent.similar_names import near, plain

_EVERYWHERE: Final = frozenset({"help", "version", "format", "fields", "json", "agent_name", "socket"})
"""Options of every command; they make no usage clearer."""
_MISSING: Final = "the following arguments are required: "
FEW: Final = 12
"""So many words are told at once."""


class WrongWordsError(SystemExit):
    """The command line makes no sense. Ends the process with 2 where nobody catches it."""

    def __init__(self, sentence: str, hint: str = "", usage: str = "") -> None:
        super().__init__(2)
        self.sentence = sentence
        self.hint = hint
        self.usage = usage


class SuggestingParser(argparse.ArgumentParser):
    """Says ``WrongWordsError`` instead of writing; whoever catches it knows how it is to be said."""

    def error(self, message: str) -> NoReturn:
        """See ``argparse``; the usage is without the options that every command has."""
        sentence = f"{message.rstrip('.')}."
        if message.startswith(_MISSING):
            choices = _choices_of(self)
            missing = f"one of {', '.join(choices)}" if choices else message.removeprefix(_MISSING)
            sentence = f"`{self.prog}` needs {missing}."
        raise WrongWordsError(sentence, "", self._short_usage())

    def _short_usage(self) -> str:
        if self.prog == "ipactl":
            return ""  # it would be that there are commands
        formatter = self._get_formatter()
        formatter.add_usage(None, [action for action in self._actions if action.dest not in _EVERYWHERE], [])
        return formatter.format_help().strip()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices or action.option_strings:
            super()._check_value(action, value)
            return
        known = [str(choice) for choice in action.choices]
        if self.prog == "ipactl":
            raise WrongWordsError(f"There is no command `{_short(value)}`.", _command_meant(str(value), known))
        meant = near(str(value), known)
        told = f"Perhaps `{self.prog} {meant}`." if meant else f"One of {', '.join(known)}."
        raise WrongWordsError(f"`{self.prog}` knows no `{_short(value)}`.", told, self._short_usage())


def left_over(parser: argparse.ArgumentParser, arguments: argparse.Namespace, words: list[str]) -> WrongWordsError:
    """Words that no parser took: an option that the command has not got, or one word too many."""
    parser = _chosen(parser, arguments)
    word = words[0].partition("=")[0]
    if not word.startswith("-"):
        return WrongWordsError(f"`{parser.prog}` does not know what to do with `{_short(word)}`.", "", _usage(parser))
    options = [text for action in parser._actions for text in action.option_strings if text.startswith("--")]
    operands = {plain(str(name)): str(name) for action in parser._actions for name in (action.metavar,) if name}
    meant = near(word, options, cutoff=0.7)
    hint = f"Perhaps {meant}." if meant else ""
    if not meant and plain(word) in operands:
        hint = f"It is given without an option: `{parser.prog} {operands[plain(word)]}`."
    return WrongWordsError(f"`{parser.prog}` has no option {_short(word)}.", hint, _usage(parser))


def _command_meant(word: str, known: list[str]) -> str:
    from .field_terms import TERMS

    told = TERMS.get(plain(word))
    if told is not None:
        return told
    meant = near(word, known)
    return f"Perhaps `ipactl {meant}`; `ipactl --help` has all." if meant else "`ipactl --help` has all."


def _chosen(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> argparse.ArgumentParser:
    """The innermost command that was understood."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            below = action.choices.get(str(getattr(arguments, action.dest, None)))
            if below is not None:
                return _chosen(below, arguments)
    return parser


def _choices_of(parser: argparse.ArgumentParser) -> list[str]:
    """What its first operand may be, where that is one of a few words."""
    operand = next((action for action in parser._actions if not action.option_strings and action.choices), None)
    choices = [] if operand is None else [str(choice) for choice in operand.choices or ()]
    return choices if len(choices) <= FEW else []


def _usage(parser: argparse.ArgumentParser) -> str:
    return parser._short_usage() if isinstance(parser, SuggestingParser) else parser.format_usage()


def _short(word: object) -> str:
    text = str(word)
    return text if len(text) <= 40 else f"{text[:40]}…"
