"""The site's table of APNs: by the beginning of an ICCID, and by network.

::

    [iccid]
    "8949020" = "iot.example"   # the longest beginning that fits counts; letters are allowed (898600B5)
    "894902"  = ""              # known to need none

    [network]
    "262-01"  = "internet.example"   # MCC-MNC
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ipad_agent.errors import ConfigError
from ipad_agent.records import dataclass, field

_MAX_FILE_BYTES: Final = 1 << 20
_LONGEST_APN: Final = 100
_APN: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_KEYS: Final = {
    "iccid": (re.compile(r"[0-9A-Ea-e]{2,20}|0[xX][0-9A-Fa-f]+"), "the first 2 to 20 digits or letters of an ICCID"),
    "network": (re.compile(r"[0-9]{3}-[0-9]{2,3}"), 'MCC and MNC as "262-01"'),
}


@dataclass(frozen=True, slots=True)
class ApnTable:
    """``iccid`` by beginnings with capital letters, ``network`` by digits without a dash."""

    iccid: Mapping[str, str] = field(default_factory=dict)
    network: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> ApnTable:
        """Read a file. Raises ``ConfigError`` for the first mistake in it, with its place."""
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ConfigError(str(path), f"cannot be read: {error.strerror or error}") from None
        if len(content) > _MAX_FILE_BYTES:
            raise ConfigError(str(path), "is larger than one megabyte")
        return cls.loads(content, str(path))

    @classmethod
    def loads(cls, content: bytes, name: str) -> ApnTable:
        """The table in this text, which is called ``name`` in messages. Raises ``ConfigError``."""
        try:
            document = tomllib.loads(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or a number of thousands of digits
            raise ConfigError(name, f"no TOML: {error}") from None
        for section in document:
            if section not in _KEYS:
                raise ConfigError(f"{name}: {section}", "is not known", allowed="the tables [iccid] and [network]")
        iccid, network = (_table(document, section, name) for section in _KEYS)
        return cls(
            MappingProxyType({key.upper(): apn for key, apn in iccid.items()}),
            MappingProxyType({key.replace("-", ""): apn for key, apn in network.items()}),
        )

    def find(self, iccid: str, plmn: str | None = None) -> str | None:
        """The APN for a profile, by its ICCID first and else by its network (5 or 6 digits, with or without a dash).
        Empty: known to need none. None: not known."""
        for length in range(len(iccid), 1, -1):
            if (found := self.iccid.get(iccid[:length].upper())) is not None:
                return found
        return None if plmn is None else self.network.get(plmn.replace("-", ""))


def _table(document: Mapping[str, object], section: str, name: str) -> dict[str, str]:
    table = document.get(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name}: {section}", "is of the wrong type", allowed=f"a table [{section}]")
    pattern, allowed = _KEYS[section]
    for key, apn in table.items():
        if not pattern.fullmatch(key):
            raise ConfigError(f"{name}: {section}.{key}", "is not allowed", allowed=allowed)
        if not isinstance(apn, str) or (apn and not _APN.fullmatch(apn)) or len(apn) > _LONGEST_APN:
            raise ConfigError(f"{name}: {section}.{key}", "is no APN", allowed=f"up to {_LONGEST_APN} of a-z 0-9 . - _")
    return table
