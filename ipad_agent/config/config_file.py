"""From a TOML file to a ``Config``; all mistakes of a file are found in one go."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ipad_agent import agent_names
from ipad_agent.errors import ConfigError
from ipad_agent.printable import printable
from ipad_agent.records import replace
from ipad_agent.similar_names import near, plain

from .config_model import SECTIONS, Config, EimConfig, InjectConfig, PowerConfig, WakeConfig, preset_defaults
from .errors import ConfigErrors, placed
from .secret_file import readable_by_others
from .toml_positions import Position, position_of, positions
from .value_readers import RefusedError, toml_kind

MAX_FILE_BYTES = 1 << 20


def load(path: str | os.PathLike[str], *, modem: str | None = None) -> Config:
    """The configuration of this file; ``modem`` is the name of the agent whose it is, where there are several. Raises
    ``ConfigErrors`` with everything that is wrong in it.

    Files named in it are not looked at; ``check`` does that.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigErrors(str(path), [ConfigError(str(path), f"cannot be read: {error.strerror or error}")]) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigErrors(str(path), [ConfigError(str(path), "is larger than one megabyte")])
    return loads(content, path, modem=modem)


def load_if_there(path: Path, *, modem: str | None = None) -> Config:
    """The same, or all defaults where there is no such file."""
    if path.exists():
        return load(path, modem=modem)
    return Config() if modem is None else replace(loads(b"", path, modem=modem), path=None)


def loads(content: bytes, path: Path, *, modem: str | None = None) -> Config:
    """The configuration in this text, as if it were the file ``path``. Raises ``ConfigErrors``."""
    try:
        text = content.decode("utf-8-sig")  # some editors begin a file with a byte order mark, which nobody sees
    except UnicodeDecodeError as error:
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        problem = "is UTF-16" if wide else f"byte {error.start} is no UTF-8"
        raise ConfigErrors(str(path), [ConfigError("file", problem, allowed="a text in UTF-8")]) from None
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, or a number of thousands of digits
        raise ConfigErrors(str(path), [_no_toml(error, text)]) from None
    return _Reading(path.parent, positions(text), modem).config(document, path)


_SECRET: Final = re.compile("key|psk|pin|code|secret|pass|token", re.IGNORECASE)
"""In the name of a key: somebody may have written there what belongs into a file, and this is said in the log."""
_FORMS: Final = (
    ("Cannot overwrite a value", "each key of a section once"),
    ("Cannot declare", "each section once, with all of its keys below it"),
    ("Expected newline", "one value in a line: a number without a unit, and # before a comment"),
    ("Invalid value", 'text in straight quotes ("..."), a number without a unit, true or false, a list in []'),
    ("Expected '='", "key = value"),
    ("Invalid statement", "lines such as [section], key = value, or # a comment"),
    ("Unescaped", "text with a backslash in single quotes ('...')"),
)
"""How the reader's own words begin, and what they mean to somebody who never wrote TOML."""


def _no_toml(error: Exception, text: str) -> ConfigError:
    """With the line itself, so that nobody has to count."""
    allowed = next((form for begin, form in _FORMS if str(error).startswith(begin)), "")
    told = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    if told is None:
        return ConfigError("file", f"no TOML: {error}", allowed=allowed)
    line = printable(text.split("\n")[int(told[1]) - 1].strip()[:60])
    shown = "" if _SECRET.search(line.partition("=")[0]) else f": {line}"
    problem = ConfigError("file", f"no TOML: {error}{shown}", allowed=allowed)
    problem.position = int(told[1]), int(told[2])
    return problem


def problems(path: str | os.PathLike[str]) -> list[ConfigError]:
    """Everything wrong with this file, from its top to its end: its content, and the files it names. Empty when
    fine."""
    try:
        found = _missing_files(load(path))
    except ConfigErrors as errors:
        found = list(errors.problems)
    return sorted(found, key=lambda problem: problem.position or (MAX_FILE_BYTES, 0))


def check(path: str | os.PathLike[str]) -> list[str]:
    """The same, one sentence each, with line and column where they are known."""
    return [placed(problem) for problem in problems(path)]


def named_files(config: Config) -> list[str]:
    """What is wrong with the files that this configuration names, one sentence each."""
    return [str(problem) for problem in _missing_files(config)]


class _Reading:
    def __init__(self, folder: Path, known: Mapping[str, Position], modem: str | None = None) -> None:
        self._modem = modem
        self._folder = folder.absolute()
        self._known = known
        self._problems: list[ConfigError] = []
        self._origins: dict[str, str] = {}

    def config(self, document: Mapping[str, Any], path: Path) -> Config:
        for name in document:
            if name not in SECTIONS and name != "eim":
                self._unknown(
                    name, name, [*SECTIONS, "eim"], "sections", key=not isinstance(document[name], dict | list)
                )
        preset = self._preset(document)
        defaults = preset_defaults(preset)
        named = {} if self._modem is None else agent_names.defaults(self._modem)
        sections = {
            name: self._section(
                kind,
                name,
                self._table(document, name),
                {**defaults.get(name, {}), **named.get(name, {})},
                f"agent {self._modem}" if name in named else f"preset {preset}",
            )
            for name, kind in SECTIONS.items()
        }
        eim = self._eims(document.get("eim", []))
        if sections["switch"].success == "application-probe" and sections["site"].application_probe is None:
            self._problems.append(
                ConfigError(
                    "site.application_probe", "is missing", allowed='what switch.success = "application-probe" is'
                )
            )
        self._check_inject(sections["inject"])
        self._check_wake(sections["wake"])
        self._check_power(sections["power"])
        if self._problems:
            for problem in self._problems:
                problem.position = position_of(problem.place, self._known)
            raise ConfigErrors(str(path), self._problems)
        lines = {place: self._known[place].line for place in self._origins if place in self._known}
        return Config(
            **sections, eim=eim, path=path, origins=MappingProxyType(self._origins), lines=MappingProxyType(lines)
        )

    def _check_inject(self, inject: InjectConfig) -> None:
        missing = [name for name in ("certificate", "key_file") if getattr(inject, name) is None]
        if len(missing) == 1 or (missing and any(place.startswith("https:") for place in inject.listen)):
            allowed = "inject.certificate and inject.key_file together, for HTTPS in any case"
            self._problems.append(ConfigError(f"inject.{missing[0]}", "is missing", allowed=allowed))

    def _check_wake(self, wake: WakeConfig) -> None:
        missing = [name for name in ("sms_senders", "sms_keyword_file") if wake.sms and not getattr(wake, name)]
        missing += ["knock_key_file"] if wake.knock and wake.knock_key_file is None else []
        for name in missing:
            allowed = "senders and a keyword for SMS, a key for knocks"
            self._problems.append(ConfigError(f"wake.{name}", "is missing", allowed=allowed))

    def _check_power(self, power: PowerConfig) -> None:
        if any(problem.place.startswith("power.") for problem in self._problems):
            return  # what was refused is not missing
        missing = [name for name in ("active_s", "update_s") if getattr(power, name) is None]
        if len(missing) == 1:
            allowed = "power.active_s and power.update_s together"
            self._problems.append(ConfigError(f"power.{missing[0]}", "is missing", allowed=allowed))
        elif power.active_s is not None and power.update_s is not None and power.active_s >= power.update_s:
            self._problems.append(
                ConfigError("power.update_s", "is not longer than power.active_s", allowed="a longer time")
            )

    def _preset(self, document: Mapping[str, Any]) -> str:
        poll = document.get("poll")
        chosen = poll.get("preset") if isinstance(poll, dict) else None
        # A wrong preset is reported with the other keys of its section.
        return "nbiot" if chosen == "nbiot" else "normal"

    def _table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        table = document.get(name, {})
        if isinstance(table, dict):
            return table
        self._problems.append(
            ConfigError(name, f"{toml_kind(table)} is of the wrong type", allowed=f"a table [{name}]")
        )
        return {}

    def _section(
        self, kind: type, place: str, table: Mapping[str, Any], preset: Mapping[str, object], preset_name: str
    ) -> Any:
        known = {item.name: item for item in fields(kind)}
        values: dict[str, object] = dict(preset)
        for name in preset:
            self._origins[f"{place}.{name}"] = preset_name
        for name, value in table.items():
            item = known.get(name)
            if item is None:
                self._unknown(f"{place}.{name}", name, list(known), f"keys of [{place.partition('[')[0]}]")
                continue
            try:
                values[name] = item.metadata["reader"].read(value, self._folder)
                self._origins[f"{place}.{name}"] = "file"
            except RefusedError as error:
                allowed = item.metadata["reader"].allowed
                self._problems.append(ConfigError(f"{place}.{name}", str(error), allowed=allowed))
        return kind(**values)

    def _eims(self, tables: object) -> tuple[EimConfig, ...]:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._problems.append(ConfigError("eim", "is of the wrong type", allowed="tables [[eim]]"))
            return ()
        result: list[EimConfig] = []
        for number, table in enumerate(tables):
            place = f"eim[{number}]"
            eim: EimConfig = self._section(EimConfig, place, table, {}, "")
            if "id" not in table:
                self._problems.append(ConfigError(f"{place}.id", "is missing", allowed=_reader_of("id").allowed))
            elif eim.id and any(eim.id == other.id for other in result):
                self._problems.append(ConfigError(f"{place}.id", f'"{eim.id}" is there twice'))
            for pair in (("psk_identity", "psk_key_file"), ("client_certificate", "client_key_file")):
                missing = [name for name in pair if name not in table]
                if len(missing) == 1:
                    self._problems.append(
                        ConfigError(f"{place}.{missing[0]}", "is missing", allowed=f"{pair[0]} and {pair[1]} together")
                    )
            result.append(eim)
        return tuple(result)

    def _unknown(self, place: str, name: str, known: list[str], what: str, *, key: bool = True) -> None:
        """``key``: it has a value; else it is a table."""
        above = place.removesuffix(name)
        elsewhere = [
            f"{section}.{name}"
            for section, kind in {**SECTIONS, "eim": EimConfig}.items()
            if name in {item.name for item in fields(kind)}
        ]
        meant = [f"{above}{found}" for found in _meant(above, name, known)]
        if key and not above:  # a key that stands before the first section
            meant = elsewhere
        meant = meant or elsewhere
        problem = "is not known" + (f"; did you mean {' or '.join(meant)}?" if meant else "")
        # A list of all names helps only where none of them is meant.
        allowed = "" if meant else f"the {what} " + ", ".join(known)
        self._problems.append(ConfigError(place, problem, allowed=allowed))


_SECTIONS_MEANT: Final[Mapping[str, str]] = {
    "euicc": "card", "uicc": "card", "sim": "card", "esim": "card", "dtls": "coap", "tls": "trust", "ssl": "trust",
    "pki": "trust", "ca": "trust", "network": "site", "hooks": "site", "apn": "site", "schedule": "poll",
    "polling": "poll", "retry": "poll", "rollback": "switch", "fallback": "guardian", "smdp": "download",
    "api": "local", "dbus": "local", "varlink": "local", "socket": "local", "prometheus": "metrics",
    "logging": "log", "manager": "eim", "server": "eim", "esipa": "eim", "recorder": "record", "sms": "wake",
}  # fmt: skip
"""What others call our sections; SGP.32's words first. Without what spellings of one name differ in."""
_KEYS_MEANT: Final[Mapping[str, Mapping[str, str]]] = {
    "eim": {
        "eimid": "id", "name": "id", "eimfqdn": "host", "fqdn": "host", "url": "host", "uri": "host",
        "address": "host", "server": "host", "protocol": "carrier", "transport": "carrier", "psk": "psk_key_file",
        "certificate": "client_certificate", "cert": "client_certificate", "key": "client_key_file",
        "coapsport": "port",
    },
    "modem": {"device": "port", "tty": "port", "path": "port", "speed": "baud", "driver": "transport"},
    "card": {"aid": "isdr_aids", "isdraid": "isdr_aids"},
    "poll": {"period": "interval_s", "every": "interval_s", "backoff": "backoff_first_s", "retry": "backoff_first_s"},
    "switch": {"timeout": "confirm_s", "deadline": "confirm_s", "rollback": "confirm_s"},
    "trust": {"ca": "ca_file", "cacert": "ca_file", "cafile": "ca_file"},
    "log": {"verbosity": "level", "format": "style"},
    "local": {"socketfile": "socket_path", "group": "control_group"},
    "site": {"apn": "apn_table", "hooks": "hooks_dir"},
}  # fmt: skip
"""The same of the keys in a section."""
_UNITS: Final = ("seconds", "secs", "sec", "minutes", "mins", "min", "hours", "ms", "bytes", "kb", "mb")


def _meant(above: str, name: str, known: list[str]) -> list[str]:
    """Which of these names was probably meant; none, or mostly one."""
    section = plain(re.sub(r"\[\d+\]", "", above)).removesuffix(".")
    term = (_KEYS_MEANT.get(section, {}) if section else _SECTIONS_MEANT).get(plain(name))
    if term is not None:
        return [term]
    stem = next((name.removesuffix(f"_{unit}") for unit in _UNITS if name.endswith(f"_{unit}")), name)
    longer = [each for each in known if each.startswith(f"{stem}_")]
    if len(longer) == 1:
        return longer
    found = near(name, known)
    return [] if found is None else [found]


def _reader_of(name: str) -> Any:
    item: Field[Any] = next(item for item in fields(EimConfig) if item.name == name)
    return item.metadata["reader"]


def _missing_files(config: Config) -> list[ConfigError]:
    named: list[tuple[str, Path | None, bool]] = [
        ("modem.profiles_dir", config.modem.profiles_dir, False),
        ("provisioning.initial_eim", config.provisioning.initial_eim, False),
        ("site.apn_table", config.site.apn_table, False),
        ("trust.ca_file", config.trust.ca_file, False),
        ("trust.ci_dir", config.trust.ci_dir, False),
    ]
    # The folders of scripts need not be there, but one that somebody named has probably been mistyped.
    folders = {"site.hooks_dir": config.site.hooks_dir, "site.conditions_dir": config.site.conditions_dir}
    named += [(place, path, False) for place, path in folders.items() if config.origins.get(place) == "file"]
    if config.site.application_probe is not None and config.site.application_probe.startswith("/"):
        named.append(("site.application_probe", Path(config.site.application_probe), False))
    if config.metrics.textfile is not None:
        named.append(("metrics.textfile", config.metrics.textfile.parent, False))
    if config.download.confirmation_code_file is not None:
        named.append(("download.confirmation_code_file", config.download.confirmation_code_file.resolve(), True))
    if config.inject.certificate is not None:
        named.append(("inject.certificate", config.inject.certificate.resolve(), False))
    if config.inject.key_file is not None:
        named.append(("inject.key_file", config.inject.key_file.resolve(), True))
    if config.wake.sms_keyword_file is not None:
        named.append(("wake.sms_keyword_file", config.wake.sms_keyword_file.resolve(), True))
    if config.wake.knock_key_file is not None:
        named.append(("wake.knock_key_file", config.wake.knock_key_file.resolve(), True))
    for number, eim in enumerate(config.eim):
        if eim.psk_key_file is not None:
            named.append((f"eim[{number}].psk_key_file", eim.psk_key_file.resolve(), True))
        if eim.client_certificate is not None:
            named.append((f"eim[{number}].client_certificate", eim.client_certificate.resolve(), False))
        if eim.client_key_file is not None:
            named.append((f"eim[{number}].client_key_file", eim.client_key_file.resolve(), True))
    found: list[ConfigError] = []
    for place, path, secret in named:
        if path is None:
            continue  # not set, or a credential that only the service is given
        try:
            mode = path.stat().st_mode
        except OSError as error:
            found.append(ConfigError(place, f"{path}: {error.strerror or error}"))
            continue
        if secret and readable_by_others(mode):
            found.append(ConfigError(place, f"{path} can be read by every user", allowed="mode 0600 or 0640"))
    for problem in found:
        if problem.place in config.lines:
            problem.position = config.lines[problem.place], 1
    return found
