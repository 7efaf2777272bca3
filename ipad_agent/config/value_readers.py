"""What a value of the configuration may be: one small class per kind, each knowing how to say what is allowed; and how
one key is described by it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from ipad_agent.policy.polling.daily_window import DailyWindow
from ipad_agent.records import dataclass, field

from .secret_file import SecretFile

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

DAY_S: Final = 86_400.0
PORT_NUMBER: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
"""1 to 65535 as a regular expression, for addresses that hold a port."""


class RefusedError(Exception):
    """Why a value is not accepted; becomes a ``ConfigError`` with its place."""


class Reader(Protocol[T_co]):
    """Turns a TOML value into what the agent uses."""

    @property
    def allowed(self) -> str:
        """What is accepted, for messages and the manual."""

    def read(self, value: object, folder: Path) -> T_co:
        """The value; relative paths are below ``folder``. Raises ``RefusedError``."""


def key(reader: Reader[T], default: T | None, why: str) -> T:
    """Describe one key; ``default`` None with a reader that never gives None means: not set."""
    return field(default=default, metadata={"reader": reader, "why": why})  # type: ignore[return-value]  # as dataclasses


def toml_kind(value: object) -> str:
    """The type of a TOML value in words."""
    for kind, name in ((bool, "a boolean"), (str, "a string"), (int, "an integer"), (float, "a number")):
        if isinstance(value, kind):
            return name
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"


def _shown(value: float) -> str:
    """A number in words; Python refuses to write out one of thousands of digits."""
    return str(value) if abs(value) < 10**20 or isinstance(value, float) else "a number beyond all bounds"


def _wrong_type(value: object) -> RefusedError:
    return RefusedError(f"{toml_kind(value)} is of the wrong type")


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def read(self, value: object, folder: Path) -> bool:
        if not isinstance(value, bool):
            raise _wrong_type(value)
        return value


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number, or one of a few."""

    least: int
    most: int
    only: tuple[int, ...] = ()

    @property
    def allowed(self) -> str:
        if self.only:
            return ", ".join(str(number) for number in self.only)
        return f"an integer from {self.least} to {self.most}"

    def read(self, value: object, folder: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(value)
        if not self.least <= value <= self.most or (self.only and value not in self.only):
            raise RefusedError(f"{_shown(value)} is not allowed")
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A number with or without a fraction; ``unit`` is for people."""

    least: float
    most: float
    unit: str = "seconds"

    @property
    def allowed(self) -> str:
        return f"a number from {self.least:g} to {self.most:.10g}" + (f" ({self.unit})" if self.unit else "")

    def read(self, value: object, folder: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(value)
        if not self.least <= value <= self.most:  # false for NaN too
            raise RefusedError(f"{_shown(value)} is not allowed")
        return float(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return ", ".join(f'"{word}"' for word in self.words)

    def read(self, value: object, folder: Path) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value)
        if value not in self.words:
            raise RefusedError(f'"{value}" is not allowed')
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches ``pattern`` as a whole; ``what`` describes it."""

    what: str
    pattern: str = r"[^\x00-\x1f\x7f]+"
    longest: int = 255

    @property
    def allowed(self) -> str:
        return self.what

    def read(self, value: object, folder: Path) -> str:
        if not isinstance(value, str):
            raise _wrong_type(value)
        if len(value) > self.longest:
            raise RefusedError(f"a text of {len(value)} characters is too long")
        if not re.fullmatch(self.pattern, value):
            raise RefusedError(f'"{value}" is not allowed')
        return value


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path; a relative one is below the folder of the configuration file."""

    what: str = "a path"

    @property
    def allowed(self) -> str:
        return self.what

    def read(self, value: object, folder: Path) -> Path:
        if not isinstance(value, str):
            raise _wrong_type(value)
        if not value or "\0" in value:
            raise RefusedError("an empty path")
        return folder / value


@dataclass(frozen=True, slots=True)
class Secret:
    """The path of a file that holds a secret, never the secret itself."""

    @property
    def allowed(self) -> str:
        return 'the path of a file, or "$CREDENTIALS_DIRECTORY/<name>"'

    def read(self, value: object, folder: Path) -> SecretFile:
        if not isinstance(value, str):
            raise _wrong_type(value)
        if not value or "\0" in value:
            raise RefusedError("an empty path")
        if re.fullmatch(r"(?:[0-9A-Fa-f]{2}){16,}", value):
            # Not repeated here: what looks like a key may be one.
            raise RefusedError("this looks like a key; write it to a file and name the file here")
        return SecretFile.named(value, folder)


@dataclass(frozen=True, slots=True)
class Pem:
    """The path of a PEM file, or of a credential; read when it is needed."""

    @property
    def allowed(self) -> str:
        return 'the path of a PEM file, or "$CREDENTIALS_DIRECTORY/<name>"'

    def read(self, value: object, folder: Path) -> SecretFile:
        if not isinstance(value, str):
            raise _wrong_type(value)
        if not value or "\0" in value:
            raise RefusedError("an empty path")
        if value.lower().startswith("pkcs11:"):
            # Not repeated here: such a URI may hold the PIN.
            raise RefusedError(
                "PKCS#11 URIs cannot be used: the TLS library is given keys from files only, so a key that does not "
                "leave its token cannot serve here"
            )
        if "-----BEGIN" in value:
            raise RefusedError("this is the content; write it to a file and name the file here")
        return SecretFile.named(value, folder)


@dataclass(frozen=True, slots=True)
class ListOf(Generic[T]):
    """A list without repetitions, of ``least`` items or more."""

    item: Reader[T]
    least: int = 0
    most: int = 32

    @property
    def allowed(self) -> str:
        return f"a list of: {self.item.allowed}"

    def read(self, value: object, folder: Path) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise _wrong_type(value)
        if not self.least <= len(value) <= self.most:
            raise RefusedError(f"a list of {len(value)} items")
        result: list[T] = []
        for item in value:
            read = self.item.read(item, folder)
            if read in result:
                raise RefusedError(f"{item!r} twice")
            result.append(read)
        return tuple(result)


@dataclass(frozen=True, slots=True)
class Aid:
    """An application identifier in hexadecimal (ISO/IEC 7816-4: 5 to 16 bytes)."""

    @property
    def allowed(self) -> str:
        return "5 to 16 bytes in hexadecimal"

    def read(self, value: object, folder: Path) -> bytes:
        if not isinstance(value, str):
            raise _wrong_type(value)
        if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}){5,16}", value):
            raise RefusedError(f'"{value}" is not allowed')
        return bytes.fromhex(value)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A part of the day."""

    @property
    def allowed(self) -> str:
        return '"HH:MM-HH:MM"'

    def read(self, value: object, folder: Path) -> DailyWindow:
        if not isinstance(value, str):
            raise _wrong_type(value)
        try:
            return DailyWindow.parse(value)
        except ValueError as error:
            raise RefusedError(f'"{value}": {error}') from None


def choices(words: Sequence[str]) -> Choice:
    return Choice(tuple(words))


def written(value: object) -> str:
    """As in the file; bytes as hexadecimal, what is not set in words."""
    if value is None:
        return "(not set)"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bytes):
        return f'"{value.hex().upper()}"'
    if isinstance(value, tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    return json.dumps(str(getattr(value, "path", value)), ensure_ascii=False)
