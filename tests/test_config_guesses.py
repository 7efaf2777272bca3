"""Configuration files by people who guess: the key that was probably meant, and a text that is no TOML."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from ipad_agent.config import ConfigErrors, config_file, loads
from ipad_agent.config.config_model import SECTIONS, EimConfig

PATH = Path("/etc/ipad-agent/config.toml")


def problems_of_bytes(content: bytes) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        loads(content, PATH)
    return [str(problem) for problem in caught.value.problems]


def problems(text: str) -> list[str]:
    return problems_of_bytes(text.encode())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 5", "port: is not known; did you mean modem.port or eim.port?"),
        ("[euicc]\na = 5", "euicc: is not known; did you mean card?"),
        ("[Poll]\na = 5", "Poll: is not known; did you mean poll?"),
        ("[modem]\ndevice = 5", "modem.device: is not known; did you mean modem.port?"),
        ("[budget]\nday = 5", "budget.day: is not known; did you mean budget.day_bytes?"),
        ("[poll]\ninterval_min = 5", "poll.interval_min: is not known; did you mean poll.interval_s?"),
        ("[switch]\ntimeout = 5", "switch.timeout: is not known; did you mean switch.confirm_s?"),
        ('[[eim]]\nid = "a"\neimFqdn = "b"', "eim[0].eimFqdn: is not known; did you mean eim[0].host?"),
    ],
)
def test_a_key_that_was_guessed_is_answered_by_the_one_that_was_meant(text: str, sentence: str) -> None:
    (problem,) = problems(text)
    assert problem == sentence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[poll]\na = 24h",
            "after a statement (at line 2, column 7): a = 24h; allowed: one value",
        ),
        ("[modem]\nport = /dev/x", "port = /dev/x; allowed: text in straight quotes"),
        ("[poll]\na = 1\n[poll]\n", "[poll]; allowed: each section once"),
        ("[poll]\na = 1\na = 2\n", "a = 2; allowed: each key of a section once"),
    ],
)
def test_a_text_that_is_no_toml_is_shown_with_its_line_and_what_a_line_looks_like(text: str, says: str) -> None:
    (problem,) = problems(text)
    assert says in problem


def test_a_secret_in_a_line_that_is_no_toml_is_not_repeated() -> None:
    (problem,) = problems("[[eim]]\npsk_key = c0ffee")
    assert "line 2" in problem
    assert "c0ffee" not in problem


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    assert loads(b"\xef\xbb\xbf[poll]\r\ninterval_s = 60\r\n", PATH).poll.interval_s == 60
    (problem,) = problems_of_bytes(b"\xef\xbb\xbf[pol]\n")
    assert problem.startswith("pol: is not known")


def test_every_section_and_key_that_a_term_of_the_field_leads_to_exists() -> None:
    sections = {**SECTIONS, "eim": EimConfig}
    assert set(config_file._SECTIONS_MEANT.values()) <= set(sections)
    for section, terms in config_file._KEYS_MEANT.items():
        assert set(terms.values()) <= {item.name for item in fields(sections[section])}, section
