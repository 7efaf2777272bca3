"""Where in its file a key of the configuration is, for whoever has to correct it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ipad_agent.config import ConfigErrors, loads, problems
from ipad_agent.config.errors import WIDTH, lines_of
from ipad_agent.config.toml_positions import position_of, positions

FILE = Path("/etc/ipad-agent/config.toml")

EVERYTHING = """# [poll]
[modem]  # interval_s = 1
port = "[[eim]]"; # no comment in a string: #
  baud = 9_600
\"quoted key\" = 1
text = \"\"\"
[log]
level = 1
\"\"\"
list = [ # one
  "]", '[', [1, 2],
]
inline = { first = 1, "second" = { third = [2, 3] } }
dotted.key = 3

[[eim]]
id = "a"
[[eim]]
id = 'b'
[eim.more]
here = true
"""


def test_every_key_is_found_where_it_is() -> None:
    text = EVERYTHING.replace(";", "")
    tomllib.loads(text)
    found = positions(text)
    assert {place: tuple(at) for place, at in found.items()} == {
        "modem": (2, 1),
        "modem.port": (3, 1),
        "modem.baud": (4, 3),
        "modem.quoted key": (5, 1),
        "modem.text": (6, 1),
        "modem.list": (10, 1),
        "modem.inline": (13, 1),
        "modem.inline.first": (13, 12),
        "modem.inline.second": (13, 23),
        "modem.inline.second.third": (13, 36),
        "modem.dotted": (14, 1),
        "modem.dotted.key": (14, 1),
        "eim": (16, 1),
        "eim[0]": (16, 1),
        "eim[0].id": (17, 1),
        "eim[1]": (18, 1),
        "eim[1].id": (19, 1),
        "eim[1].more": (20, 1),
        "eim[1].more.here": (21, 1),
    }


def test_what_is_missing_is_where_its_table_is() -> None:
    found = positions('[log]\n\n[[eim]]\nhost = "x"\n')
    assert position_of("eim[0].id", found) == (3, 1)
    assert position_of("site.application_probe", found) is None


@pytest.mark.parametrize("text", ["", "=", "[", "[[", "]]\n[a", "a = [", "a = {", 'a = """', "\u00e4 = 1", "a.b.c"])
def test_a_text_that_is_no_toml_is_gone_through_all_the_same(text: str) -> None:
    positions(text)


def test_a_key_of_the_file_is_known_by_its_line() -> None:
    config = loads(b'[poll]\n\npreset = "nbiot"\n', FILE)
    assert config.lines["poll.preset"] == 3
    assert "coap.ack_timeout_s" not in config.lines  # of the preset


def test_the_start_of_the_agent_names_the_line_too() -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads(b"[poll]\njitter = 3\n", FILE)
    assert "(line 2, column 1)" in str(caught.value)


def test_the_list_is_in_the_order_of_the_file_and_fits_on_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[nonsense]\n[log]\nlevel = 1\n[modem]\nbaud = true\nbaut = 1\n")
    shown = list(lines_of("config.toml", problems(file)))
    heads = [line for line in shown if line.startswith("config.toml:")]
    assert heads == [
        "config.toml:1:1: nonsense",
        "config.toml:3:1: log.level",
        "config.toml:5:1: modem.baud",
        "config.toml:6:1: modem.baut",
    ]
    assert max(map(len, shown)) <= WIDTH
    assert shown[-1].startswith("4 problems")
    after = shown.index("config.toml:6:1: modem.baut")
    assert shown[after + 1 : -1] == ["    is not known; did you mean modem.baud?"]  # no list of what was not meant
