from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.errors import ConfigError
from ipad_agent.site import ApnTable

TABLE = b"""
[iccid]
"8949" = "internet.example"
"894902" = "iot.example"
"89490299" = ""
[network]
"262-01" = "home.example"
"310-410" = "us.example"
"""


def test_the_longest_beginning_of_an_iccid_wins() -> None:
    table = ApnTable.loads(TABLE, "apn.toml")
    assert table.find("8949010000000000012") == "internet.example"
    assert table.find("8949020000000000012") == "iot.example"
    assert table.find("8949029900000000012") == ""
    assert table.find("8944000000000000012") is None
    assert table.find("") is None


def test_an_iccid_with_letters_is_found_in_whatever_case_it_is_written() -> None:
    table = ApnTable.loads(b'[iccid]\n"898600b5" = "cm.example"\n"0x98F4" = "odd.example"\n', "apn.toml")
    assert table.find("898600B5012345678901") == "cm.example"
    assert table.find("898600B6012345678901") is None
    assert table.find("0x98F44999999999099203") == "odd.example"


def test_the_network_counts_where_no_iccid_fits() -> None:
    table = ApnTable.loads(TABLE, "apn.toml")
    assert table.find("8944000000000000012", "26201") == "home.example"
    assert table.find("8944000000000000012", "262-01") == "home.example"
    assert table.find("8944000000000000012", "310410") == "us.example"
    assert table.find("8944000000000000012", "26202") is None
    assert table.find("8949020000000000012", "26201") == "iot.example"


def test_an_empty_table_knows_nothing(tmp_path: Path) -> None:
    assert ApnTable().find("8949020000000000012", "26201") is None
    (tmp_path / "apn.toml").touch()
    assert ApnTable.load(tmp_path / "apn.toml") == ApnTable()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[iccids]", "apn.toml: iccids: is not known; allowed: the tables [iccid] and [network]"),
        ('"8949" = "x"', "apn.toml: 8949: is not known"),
        ("iccid = 7", "apn.toml: iccid: is of the wrong type; allowed: a table [iccid]"),
        (
            '[iccid]\n"89F" = "x"',
            "apn.toml: iccid.89F: is not allowed; allowed: the first 2 to 20 digits or letters of an ICCID",
        ),
        ('[iccid]\n"8" = "x"', "apn.toml: iccid.8: is not allowed"),
        ('[network]\n"26201" = "x"', 'apn.toml: network.26201: is not allowed; allowed: MCC and MNC as "262-01"'),
        ('[iccid]\n"89" = "a b"', "apn.toml: iccid.89: is no APN; allowed: up to 100 of a-z 0-9 . - _"),
        ('[iccid]\n"89" = "a..b"', "apn.toml: iccid.89: is no APN"),
        ('[iccid]\n"89" = "a\\u0022,b"', "apn.toml: iccid.89: is no APN"),
        ('[iccid]\n"89" = 7', "apn.toml: iccid.89: is no APN"),
        ('[iccid]\n"89" = "' + "a.b" * 34 + '"', "apn.toml: iccid.89: is no APN"),
        ("[iccid", "apn.toml: no TOML: "),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ApnTable.loads(text.encode(), "apn.toml")
    assert str(caught.value).startswith(sentence)


def test_a_file_that_cannot_be_read_or_is_huge_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        ApnTable.load(tmp_path / "none.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(ConfigError, match="larger than one megabyte"):
        ApnTable.load(tmp_path / "huge.toml")


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 4000])
def test_a_number_of_thousands_of_digits_is_a_mistake_of_the_file(number: str) -> None:
    with pytest.raises(ConfigError):
        ApnTable.loads(f'[iccid]\n"8949" = {number}'.encode(), "apn.toml")


@given(
    st.one_of(
        st.binary(max_size=60), st.from_regex(r'\[(iccid|network)\]\n"[0-9-]{0,8}" = "[a-z. ]{0,9}"').map(str.encode)
    )
)
def test_any_content_is_a_table_or_a_configuration_error(content: bytes) -> None:
    with contextlib.suppress(ConfigError):
        ApnTable.loads(content, "apn.toml")
