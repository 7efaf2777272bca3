from __future__ import annotations

import itertools

import pytest

from ipad_agent.openwrt.uci_text import UciSyntaxError, parse

# As `uci export` prints it: every value in single quotes, a single quote as '\''.
EXPORTED = """package ipad

config modem 'modem'
\toption port '/dev/ttyUSB2'

config eim
\toption id 'it'\\''s an eIM'
\tlist windows 'a'
\tlist windows 'b'

"""


def test_what_uci_exports_is_read() -> None:
    modem, eim = parse(EXPORTED)
    assert (modem.type, modem.name, modem.options) == ("modem", "modem", {"port": "/dev/ttyUSB2"})
    assert (eim.type, eim.name, eim.options) == ("eim", None, {"id": "it's an eIM", "windows": ["a", "b"]})


def test_a_file_as_people_write_it_is_read() -> None:
    text = """
    # a comment
    config 'modem' "modem"   # another one
      option port /dev/tty\\ x
      option   "apn"   "say \\"a#b\\" \\\\"
      option wide 'two
lines'
      option after ok"""
    (section,) = parse(text)
    assert section.options == {"port": "/dev/tty x", "apn": 'say "a#b" \\', "wide": "two\nlines", "after": "ok"}


def test_the_last_option_of_a_name_counts_and_a_list_takes_in_the_option_before_it() -> None:
    (section,) = parse("config led\noption name a\noption name b\noption other x\nlist other y\nlist z q\noption z r\n")
    assert section.options == {"name": "b", "other": ["x", "y"], "z": "r"}


def test_a_section_that_is_named_twice_is_one_and_keeps_its_place() -> None:
    first, second = parse("config eim one\noption id a\nconfig eim two\noption id b\nconfig eim one\noption port 1\n")
    assert first.options == {"id": "a", "port": "1"}
    assert second.options == {"id": "b"}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("config modem\n  port '/dev/x'\n", 2, "begins no statement"),
        ("\noption port x\n", 2, 'before the first "config"'),
        ("config modem\noption port\n", 2, "1 words"),
        ("config modem\noption port a b\n", 2, "3 words"),
        ("config a\noption x 'open\n\n\n", 2, "not closed"),
        ("config a\noption x 'two\nlines'\noption\n", 4, "0 words"),
        ("config mo/dem\n", 1, "no type"),
        ("config modem a-b\n", 1, "no name of a section"),
        ("config modem\noption a.b c\n", 2, "no name of an option"),
        ("config modem a\nconfig eim a\n", 2, 'of the type "modem"'),
    ],
)
def test_what_is_no_uci_is_named_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(UciSyntaxError, match=word) as caught:
        parse(text)
    assert caught.value.line == line


def test_any_text_is_sections_or_a_syntax_error() -> None:
    pieces = ["config a b\n", "option x ", "list x y\n", "'", '"', "\\", "#", "\n", "package p\n", "\x00", "ä "]
    read = refused = 0
    for tail in itertools.product(pieces, repeat=3):
        try:
            parse("config a\n" + "".join(tail))
            read += 1
        except UciSyntaxError:
            refused += 1
    assert read + refused == len(pieces) ** 3
    assert min(read, refused) > 100
