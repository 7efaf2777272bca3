from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.config import DEFAULT_PATH, Config, EimConfig, loads
from ipad_agent.config.config_model import SECTIONS
from ipad_agent.config.value_readers import (
    Aid,
    Choice,
    FilePath,
    Flag,
    Integer,
    ListOf,
    Number,
    Pem,
    Secret,
    Text,
    TimeWindow,
)
from ipad_agent.openwrt.uci_configuration import DEFAULTS, translate
from ipad_agent.openwrt.uci_text import parse

# Texts that no rule of the kind of value alone can tell.
PARTICULAR = {
    "inject.listen": "coaps://[::1]:5684",
    "inject.path": "/elsewhere",
    "wake.knock": "127.0.0.1:4817",
    "modem.port": "/dev/ttyUSB7",
    "modem.profile": "generic-3gpp",
    "ipa.imei": "490154203237518",
    "ipa.tac": "49015420",
    "ipa.releases": "eutran_epc=13",
    "switch.success": "result-acked",  # the other one needs a probe
    "site.interface": "wwan7",
    "site.application_probe": "tcp://app.example:80",
    "local.read_group": "lookers",
    "local.control_group": "doers",
    "led.name": "green:wan",
    "eim.id": "eim.example",
    "eim.path": "/other",
    "eim.host": "192.0.2.7",
}


TOGETHER = {
    "inject.certificate": "\toption key_file '/srv/key'\n",
    "inject.key_file": "\toption certificate '/srv/certificate'\n",
    "wake.sms": "\tlist sms_senders '+491510000001'\n\toption sms_keyword_file '/srv/keyword'\n",
    "wake.knock": "\toption knock_key_file '/srv/key'\n",
    "power.active_s": "\toption update_s '86400'\n",
    "power.update_s": "\toption active_s '16'\n",
}
"""What some keys want beside them."""


def translated(text: str) -> Config:
    translation = translate(parse(text), DEFAULT_PATH)
    assert translation.problems == ()
    return loads(translation.toml.encode(), DEFAULT_PATH)


def problems(text: str) -> str:
    return "\n".join(translate(parse(text), DEFAULT_PATH).problems)


def example(place: str, reader: Any) -> str:
    """A value of this kind as UCI has it, another than the default."""
    match reader:
        case _ if place in PARTICULAR:
            return PARTICULAR[place]
        case ListOf():
            return example(place, reader.item)
        case Flag():
            return "1"
        case Integer(only=only) if only:
            return str(only[0])
        case Integer():
            return str(reader.most)
        case Number():
            return f"{reader.most:.10g}"
        case Choice():
            return reader.words[-1]
        case FilePath() | Secret() | Pem():
            return "/srv/some/file"
        case Aid():
            return "A000000559FF"
        case TimeWindow():
            return "01:00-02:00"
        case Text():
            return "words"
    raise AssertionError(f"a new kind of value: {reader}")


KEYS = [(f"{section}.{item.name}", item) for section, kind in SECTIONS.items() for item in fields(kind)]
EIM_KEYS = [(f"eim.{item.name}", item) for item in fields(EimConfig)]


@pytest.mark.parametrize(("place", "item"), KEYS, ids=[place for place, _ in KEYS])
def test_every_key_of_the_configuration_can_be_set_in_uci(place: str, item: Any) -> None:
    section, name = place.split(".")
    reader = item.metadata["reader"]
    text = example(place, reader)
    keyword = "list" if isinstance(reader, ListOf) else "option"
    config = translated(f"config {section} '{section}'\n\t{keyword} {name} '{text}'\n{TOGETHER.get(place, '')}")
    assert config.origins[place] == "file"
    value = getattr(getattr(config, section), name)
    plain = [text] if isinstance(reader, ListOf) else text
    if isinstance(reader, Flag):
        assert value is True
    elif isinstance(reader, Integer | Number):
        assert value == float(text)
    elif isinstance(reader, Choice | Text):
        assert value == plain
    else:
        assert str(text).strip("/").lower() in str(value).lower() or value != item.default


def test_every_key_of_an_eim_can_be_set_in_uci() -> None:
    lines = [f"\toption {place[4:]} '{example(place, item.metadata['reader'])}'" for place, item in EIM_KEYS]
    config = translated("config eim\n" + "\n".join(lines) + "\nconfig eim 'second'\n\toption id 'two'\n")
    assert [eim.id for eim in config.eim] == ["eim.example", "two"]
    first = config.eim[0]
    assert all(config.origins[f"eim[0].{place[4:]}"] == "file" for place, _ in EIM_KEYS)
    assert first.enabled is True
    assert first.allow_expired is True
    assert (first.port, first.carrier, first.host) == (65535, "https", "192.0.2.7")


def test_state_and_runtime_folders_are_where_openwrt_keeps_such_things_unless_told_otherwise() -> None:
    config = translated("config service 'service'\n\toption enabled '1'\n")
    assert config.store.state_dir == Path("/etc/ipad-agent/state")
    assert config.store.runtime_dir == Path("/var/run/ipad-agent")
    assert config.modem.lock_dir == Path("/var/lock")
    other = translated("config store\n\toption state_dir '/srv/ipad'\n")
    assert other.store.state_dir == Path("/srv/ipad")
    assert other.store.runtime_dir == Path("/var/run/ipad-agent")
    assert set(DEFAULTS) <= set(SECTIONS)


@pytest.mark.parametrize("word", ["1", "on", "true", "yes", "enabled"])
def test_flags_are_said_as_openwrt_says_them(word: str) -> None:
    assert translated(f"config guardian\n\toption enabled '{word}'\n").guardian.enabled is True
    opposite = {"1": "0", "on": "off", "true": "false", "yes": "no", "enabled": "disabled"}[word]
    assert translated(f"config guardian\n\toption enabled '{opposite}'\n").guardian.enabled is False


def test_lists_keep_their_order_and_one_item_may_be_an_option() -> None:
    text = "config budget\n\tlist warn '0.8'\n\tlist warn '0.5'\nconfig conditions\n\toption windows '22:00-05:00'\n"
    config = translated(text)
    assert config.budget.warn == (0.8, 0.5)
    assert len(config.conditions.windows) == 1


def test_no_text_of_uci_can_leave_its_value_in_the_file() -> None:
    hostile = 'a"\n[log]\nlevel = "debug"\\ \x7f \u20ac'
    translation = translate(parse("config ipa\n\toption imei '" + hostile + "'\n"), DEFAULT_PATH)
    assert "ipa.imei" in "\n".join(translation.problems)
    assert "log.level" not in "\n".join(translation.problems)
    assert translation.toml.count("\n[log]") == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("config modem\noption baud abc\n", 'ipad.modem.baud: "abc" is no number; allowed: an integer from 1200'),
        ("config modem\noption baud 9\n", "ipad.modem.baud: 9 is not allowed"),
        ("config modem\noption baud ''\n", 'ipad.modem.baud: "" is no number'),
        ("config poll\noption jitter 1e-1\n", 'ipad.poll.jitter: "1e-1" is no number'),
        ("config poll\noption interval_s " + "9" * 99 + "\n", "ipad.poll.interval_s"),
        ("config card\noption take_from_ipae maybe\n", 'ipad.card.take_from_ipae: "maybe" is not allowed'),
        ("config modem\nlist port a\nlist port b\n", "ipad.modem.port: is a list; allowed: "),
        ("config modem\noption prot a\n", "ipad.modem.prot: is not known; did you mean modem.port?"),
        ("config mdem\noption port a\n", "ipad.mdem: is not known; did you mean modem?"),
        ("config modem\nconfig modem m\n", "ipad.modem: is there twice"),
        ("config eim\noption id a\nconfig eim\noption prt 1\n", "ipad.@eim[1].prt: is not known"),
        ("config eim\noption host a\n", "ipad.@eim[0].id: is missing"),
        ("config service\noption enbled 1\n", "ipad.service.enbled: is not known"),
        ("config service\noption enabled perhaps\n", 'ipad.service.enabled: "perhaps" is not allowed'),
        ("config service\nlist user a\n", "ipad.service.user: is a list"),
    ],
)
def test_a_mistake_is_named_with_the_place_that_uci_set_takes(text: str, sentence: str) -> None:
    assert sentence in problems(text)


def test_a_key_that_somebody_put_in_the_place_of_its_file_is_not_repeated() -> None:
    secret = "00112233445566778899AABBCCDDEEFF"
    said = problems(f"config eim\noption id a\noption psk_identity b\noption psk_key_file {secret}\n")
    assert "ipad.@eim[0].psk_key_file: this looks like a key" in said
    assert secret not in said


def test_all_mistakes_are_named_at_once() -> None:
    said = problems("config modem\noption baud x\noption prt y\nconfig log\noption level loud\n")
    assert [line.split(":")[0] for line in said.splitlines()] == ["ipad.modem.baud", "ipad.modem.prt", "ipad.log.level"]
