from __future__ import annotations

import contextlib
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.modem import module_profile, module_profile_files, profile_value_checks
from ipad_agent.modem.errors import ProfileError

SHIPPED = Path(__file__).resolve().parents[2] / "hw" / "modems"
MINIMAL = """
title = "A module"
[match]
model = "M1.*"
[uicc]
order = ["csim"]
[evidence]
"match" = { grade = "guess", source = "a name" }
"uicc.order" = { grade = "reported", source = "https://example.org/1" }
"""


def parse(text: str) -> module_profile.ModuleProfile:
    return module_profile_files.parse(text, name="m1", place="m1.toml")


def test_every_shipped_profile_is_valid() -> None:
    found = module_profile_files.load([SHIPPED])
    assert found.problems == ()
    assert {entry.name for entry in found.profiles} == {
        "cinterion",
        "fibocom-fm150",
        "fibocom-fm350",
        "generic-3gpp",
        "nordic-nrf91",
        "quectel-bg95",
        "quectel-ec200",
        "quectel-eg25",
        "quectel-eg916q",
        "quectel-em05",
        "quectel-rm5g",
        "sequans-monarch2",
        "sierra-em",
        "simcom-a7600",
        "simcom-sim7080",
        "simcom-sim7600",
        "tdtech-mt5700",
        "telit-le910",
        "ublox-lara-r6",
        "ublox-lena-r8",
        "ublox-sara-r10",
        "ublox-sara-r4",
        "ublox-sara-r5",
        # where the ports of further modules are
        "fibocom-ports",
        "foxconn-ports",
        "quectel-ports",
    }


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        (("Quectel", "EG25", "EG25GGBR07A08M2G"), "quectel-eg25"),
        (("Quectel", "EG91-E", "1"), "quectel-eg25"),
        (("Quectel", "EG915N", "1"), "quectel-ec200"),
        (("Quectel", "EC200U", "1"), "quectel-ec200"),
        (("Quectel", "EG800Q-EU", "1"), "quectel-ec200"),
        (("Quectel", "BG95-M3", "1"), "quectel-bg95"),
        (("Quectel", "BG96", "1"), "quectel-bg95"),
        (("Quectel", "RM520N-GL", "1"), "quectel-rm5g"),
        (("Quectel", "EM05-G", "1"), "quectel-em05"),
        (("Quectel", "EM060K", "1"), "generic-3gpp"),
        (("u-blox", "SARA-R410M-02B", "1"), "ublox-sara-r4"),
        (("u-blox", "SARA-R10001DE", "1"), "ublox-sara-r10"),
        (("u-blox", "LARA-R6001", "1"), "ublox-lara-r6"),
        (("u-blox", "LENA-R8001", "1"), "ublox-lena-r8"),
        (("SIMCOM INCORPORATED", "A7670E-FASE", "1"), "simcom-a7600"),
        (("SIMCOM INCORPORATED", "SIMCOM_SIM7080", "1"), "simcom-sim7080"),
        (("Telit", "LE910C1-EU", "1"), "telit-le910"),
        (("Telit Cinterion", "ME910C1-E1", "1"), "telit-le910"),
        (("Cinterion", "PLS83-W", "1"), "cinterion"),
        (("Sierra Wireless, Incorporated", "EM7565", "1"), "sierra-em"),
        (("Sierra Wireless, Incorporated", "MC7455", "1"), "sierra-em"),
        (("Sierra Wireless, Incorporated", "RC7620", "1"), "sierra-em"),
        (("Fibocom Wireless Inc.", "FM350-GL", "1"), "fibocom-fm350"),
        (("Fibocom Wireless Inc.", "FM150-AE", "1"), "fibocom-fm150"),
        (("Nordic Semiconductor ASA", "nRF9160-SICA", "1"), "nordic-nrf91"),
        (("SEQUANS Communications", "GM02S", "1"), "sequans-monarch2"),
        (("TD Tech Ltd", "MT5700M-CN", "1"), "tdtech-mt5700"),
        (("QUECTEL", "EG916Q-GL", "EG916QGLLGR01A01M08"), "quectel-eg916q"),
        (("SIMCOM INCORPORATED", "SIMCOM_SIM7600G-H", "LE20B03SIM7600M22"), "simcom-sim7600"),
        (("u-blox", "SARA-R510S", "02.06"), "ublox-sara-r5"),
        (("ACME", "M1", "1"), "generic-3gpp"),
        (("", "", ""), "generic-3gpp"),
    ],
)
def test_a_module_gets_the_profile_of_its_family(answers: tuple[str, str, str], name: str) -> None:
    assert module_profile_files.load([SHIPPED]).choose(*answers).name == name


def test_the_shipped_generic_profile_is_what_the_agent_does_without_any_file() -> None:
    shipped = module_profile_files.load([SHIPPED]).named("generic-3gpp")
    assert shipped is not None
    assert shipped.ladder == module_profile.GENERIC.ladder
    assert shipped.uicc == module_profile.GENERIC.uicc
    assert module_profile.ProfileSet(()).choose("a", "b", "c") is module_profile.GENERIC


def test_no_shipped_profile_switches_the_radio_off_for_good_or_writes_permanent_memory() -> None:
    for entry in module_profile_files.load([SHIPPED]).profiles:
        for rung in entry.ladder.values():
            assert not rung.writes_nvm
            assert rung.restore or not any(c in ("AT+CFUN=0", "AT+CFUN=4") for c in rung.commands)


def test_a_profile_keeps_the_defaults_of_what_it_does_not_say() -> None:
    found = parse(MINIMAL)
    assert found.uicc.order == ("csim",)
    assert found.uicc.max_data_bytes == 255
    assert found.ladder == module_profile.STANDARD_LADDER
    assert found.evidence["uicc.order"].grade is module_profile.Grade.REPORTED


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("[uicc]", "[uicc]\nspeed = 3", "m1.toml: uicc.speed"),
        ('title = "A module"', 'titel = "A module"', "m1.toml: titel"),
        ('["csim"]', '["qmi"]', "m1.toml: uicc.order"),
        ('["csim"]', '"csim"', "m1.toml: uicc.order"),
        ('["csim"]', "[]", "m1.toml: uicc.order"),
        ('"M1.*"', '"M1("', "m1.toml: match.model"),
        ('"M1.*"', "7", "m1.toml: match.model"),
        ("[uicc]", "[uicc]\nmax_data_bytes = true", "m1.toml: uicc.max_data_bytes"),
        ("[uicc]", "[uicc]\nmax_data_bytes = 256", "m1.toml: uicc.max_data_bytes"),
        ("[uicc]", "[uicc]\nquote_hex = 1", "m1.toml: uicc.quote_hex"),
        ("[uicc]", "[deadlines]\napdu_s = -1\n[uicc]", "m1.toml: deadlines.apdu_s"),
        ("[uicc]", '[init]\ncommands = ["AT+A;+B"]\n[uicc]', "m1.toml: init.commands"),
        ("[uicc]", '[init]\ncommands = ["ATD\\r"]\n[uicc]', "m1.toml: init.commands"),
        ("[uicc]", "[refresh]\nmodem_executes = true\n[uicc]", "m1.toml: refresh.modem_executes"),
        ('grade = "guess"', 'grade = "sure"', "m1.toml: evidence.match.grade"),
        (', source = "a name"', "", "m1.toml: evidence.match"),
        ('"match" =', '"init" =', "m1.toml: match.model"),
        ('"uicc.order" =', '"uicc.mss" =', "m1.toml: uicc.order"),
        ("[evidence]", "[[evidence]]", "m1.toml: evidence"),
        ("[uicc]", "[uicc", "m1.toml"),
        ("[uicc]", "[[reset]]\nrung = 6\n[uicc]", "m1.toml: reset[1].rung"),
        ("[uicc]", "[[reset]]\n[uicc]", "m1.toml: reset[1].rung"),
        ("[uicc]", "[[reset]]\nrung = 2\n[uicc]", "m1.toml: reset[1].commands"),
        ("[uicc]", '[[reset]]\nrung = 2\ncommands = ["AT+CFUN=4"]\n[uicc]', "m1.toml: reset[1].restore"),
        ("[uicc]", "[[reset]]\nrung = 0\n[[reset]]\nrung = 0\n[uicc]", "m1.toml: reset[2].rung"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(old: str, new: str, place: str) -> None:
    assert old in MINIMAL
    with pytest.raises(ProfileError) as caught:
        parse(MINIMAL.replace(old, new, 1))
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('[[usb]]\nids = ["2c7c:0125"]\nprobe = true\nat_interface = 2\n', "usb[1].probe"),
        ('[[usb]]\nids = ["2c7c:0125"]\nprobe = 1\n', "usb[1].probe"),
        ('[slots]\nselect = ["AT+QUIMSLOT=1"]\n', "slots.select"),
        ('[slots]\nquery = "QUIMSLOT?"\n', "slots.query"),
        ("[slots]\ncount = 2\n", "slots.count"),
        ("[vendor_lpa]\noff = []\n", "vendor_lpa.off"),
        ('[vendor_lpa]\nreset_needed = "yes"\n', "vendor_lpa.reset_needed"),
        ('[[remark]]\ntext = "x"\ngrade = "guess"\n', "remark[1].source"),
        ('[[remark]]\ntext = "x"\ngrade = "sure"\nsource = "y"\n', "remark[1].grade"),
        ('[[remark]]\ntext = "x"\ngrade = "guess"\nsource = "y"\nlink = "z"\n', "remark[1].link"),
        ('remark = "x"\n', "remark"),
        ("base = 7\n", "base"),
    ],
)
def test_a_mistake_in_ports_slots_lpa_or_remarks_is_named(table: str, place: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(table)
    assert caught.value.place == f"m1.toml: {place}"


@pytest.mark.parametrize(
    ("table", "values", "place"),
    [
        ("uicc", 'lock = ["AT+CSIM=1"]', "uicc.unlock"),
        ("uicc", 'cla_on_cgla = "session"\nsmall_session_ids = false', "uicc.cla_on_cgla"),
        ("uicc", 'order = ["csim", "csim"]', "uicc.order"),
        ("port", "at_interface = 2\nsecond_at_interface = 2", "port.second_at_interface"),
        ("port", "second_at_interface = 2", "port.at_interface"),
        ("slots", 'before = ["AT+CFUN=4"]', "slots.select"),
        ("speed_up", "rates = [115200, 921600]", "speed_up.rates"),
        ("speed_up", "rates = [921600, 460800]", "speed_up.rates"),
        ("speed_up", "rates = []", "speed_up.rates"),
        ("speed_up", "rates = [100]", "speed_up.rates"),
        ("speed_up", "writes_nvm = false", "speed_up.rates"),
        ("speed_up", "rates = [921600]\nwrites_nvm = false\nrestart_needed = true", "speed_up.writes_nvm"),
        ("speed_up", 'rates = [921600]\nwrites_nvm = "no"', "speed_up.writes_nvm"),
        ("speed_up", "rate = 921600", "speed_up.rate"),
    ],
)
def test_values_that_contradict_each_other_are_named(table: str, values: str, place: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(f'[{table}]\n{values}\n[evidence]\n"{table}" = {{ grade = "guess", source = "x" }}\n')
    assert caught.value.place == f"m1.toml: {place}"


def test_values_that_contradict_those_of_the_base_are_named(tmp_path: Path) -> None:
    evidence = '[evidence]\n"uicc" = { grade = "guess", source = "x" }\n'
    (tmp_path / "a.toml").write_text(f'base = "sierra-em"\n[uicc]\ncla_on_cgla = "session"\n{evidence}')
    (problem,) = module_profile_files.load([tmp_path, SHIPPED]).problems
    assert problem.place.endswith("a.toml: uicc.cla_on_cgla")


def test_what_is_reported_in_a_shipped_profile_has_a_link() -> None:
    for entry in module_profile_files.load([SHIPPED]).profiles:
        for evidence in (*entry.evidence.values(), *(remark.evidence for remark in entry.remarks)):
            if evidence.grade is module_profile.Grade.REPORTED:
                assert "https://" in evidence.source, (entry.name, evidence.source)


def test_a_profile_without_an_expression_fits_no_module_but_can_be_named() -> None:
    text = '[uicc]\norder = ["csim"]\n[evidence]\n"uicc" = { grade = "guess", source = "x" }\n'
    entry = parse(text)
    assert module_profile.ProfileSet((entry,)).choose("ACME", "M1", "1") is module_profile.GENERIC
    assert module_profile.ProfileSet((entry,)).named("m1") is entry


OVERRIDE = """
base = "quectel-eg25"
[deadlines]
refresh_wait_s = 40
[uicc]
quote_hex = false
[evidence]
"deadlines" = { grade = "confirmed", source = "our board" }
"uicc" = { grade = "confirmed", source = "our firmware" }
"""


def test_an_operators_file_may_change_a_few_values_of_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "quectel-eg25.toml").write_text(OVERRIDE)
    shipped = module_profile_files.load([SHIPPED]).choose("Quectel", "EG25", "")
    found = module_profile_files.load([tmp_path, SHIPPED])
    own = found.choose("Quectel", "EG25", "")
    assert found.problems == ()
    assert (own.deadlines.refresh_wait_s, own.uicc.quote_hex) == (40.0, False)
    assert (own.title, own.match, own.init, own.ladder) == (shipped.title, shipped.match, shipped.init, shipped.ladder)
    assert (own.uicc.order, own.usb_ports) == (shipped.uicc.order, shipped.usb_ports)
    known = {key: own.evidence_for(key) for key in ("uicc.quote_hex", "uicc.order", "init.commands", "reset.3")}
    assert {key: value.source for key, value in known.items() if value is not None} == {
        "uicc.quote_hex": "our firmware",
        **{key: shipped.evidence[key].source for key in ("uicc.order", "init.commands", "reset.3")},
    }


def test_a_file_of_another_name_stands_beside_its_base_for_the_firmware_it_names(tmp_path: Path) -> None:
    (tmp_path / "eg25-r07.toml").write_text(
        'base = "quectel-eg25"\n[match]\nrevision = ".*R07.*"\n[[reset]]\nrung = 0\n[evidence]\n'
        '"match" = { grade = "guess", source = "x" }\n"reset" = { grade = "guess", source = "x" }\n'
    )
    found = module_profile_files.load([tmp_path, SHIPPED])
    assert found.choose("Quectel", "EG25", "EG25GGBR07A08M2G").name == "eg25-r07"
    assert list(found.choose("Quectel", "EG25", "EG25GGBR07A08M2G").ladder) == [0]
    assert found.choose("Quectel", "EG25", "EG25GGBR05A01M2G").name == "quectel-eg25"


@pytest.mark.parametrize("base", ["no-such", "a"])
def test_a_base_that_is_not_there_or_is_the_file_itself_is_a_mistake(tmp_path: Path, base: str) -> None:
    (tmp_path / "a.toml").write_text(f'base = "{base}"\n')
    (problem,) = module_profile_files.load([tmp_path, SHIPPED]).problems
    assert problem.place.endswith("a.toml: base")


def test_bases_in_a_circle_are_a_mistake_and_no_endless_search(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('base = "b"\n')
    (tmp_path / "b.toml").write_text('base = "a"\n')
    assert len(module_profile_files.load([tmp_path]).problems) == 2


def test_a_broken_override_leaves_the_shipped_profile(tmp_path: Path) -> None:
    (tmp_path / "quectel-eg25.toml").write_text(OVERRIDE.replace("40", "-1"))
    found = module_profile_files.load([tmp_path, SHIPPED])
    assert len(found.problems) == 1
    assert found.choose("Quectel", "EG25", "").deadlines.refresh_wait_s == 15.0


def test_evidence_for_nothing_is_a_mistake() -> None:
    with pytest.raises(ProfileError, match="does not set"):
        parse(MINIMAL + '"refresh" = { grade = "guess", source = "x" }\n')


def test_a_broken_file_does_not_take_the_others_away(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("nonsense =")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "huge.toml").write_text("#" * 70000)
    (tmp_path / "good.toml").write_text(MINIMAL)
    found = module_profile_files.load([tmp_path, tmp_path / "missing"])
    assert [entry.name for entry in found.profiles] == ["good"]
    assert len(found.problems) == 3


def test_an_operators_file_hides_the_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "quectel-eg25.toml").write_text(MINIMAL)
    found = module_profile_files.load([tmp_path, SHIPPED])
    own = found.named("quectel-eg25")
    assert own is not None
    assert own.title == "A module"
    assert found.choose("Quectel", "EG25", "").name == "generic-3gpp"


def test_the_more_specific_profile_wins() -> None:
    general = parse(MINIMAL.replace("M1.*", ".*"))
    precise = parse(MINIMAL.replace('model = "M1.*"', 'model = "M1.*"\nmanufacturer = "ACME"'))
    assert module_profile.ProfileSet((general, precise)).choose("acme", "M1", "") is precise


def test_an_operators_folder_is_searched_first_and_that_of_a_distribution_last(tmp_path: Path) -> None:
    folders = module_profile_files.search_path(tmp_path)
    assert folders[:2] == (tmp_path, SHIPPED)
    assert module_profile_files.search_path()[0] == Path("/etc/ipad-agent/modems")
    assert folders[-1] == Path("/usr/share/ipad-agent/modems")


FILES = [path.read_text() for path in sorted(SHIPPED.glob("*.toml"))]


@given(st.sampled_from(FILES), st.data())
def test_a_mutated_profile_raises_nothing_but_its_own_error(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.text(max_size=6)) + text[at + length :] or "x"
    with contextlib.suppress(ProfileError):
        parse(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(FILES), st.data())
def test_a_value_of_any_type_in_any_place_raises_nothing_but_its_own_error(text: str, data: st.DataObject) -> None:
    document = tomllib.loads(text)
    table = document
    key = data.draw(st.sampled_from(sorted(table)))
    while isinstance(table[key], dict) and table[key] and data.draw(st.booleans()):
        table = table[key]
        key = data.draw(st.sampled_from(sorted(table)))
    table[key] = data.draw(VALUES)
    with contextlib.suppress(ProfileError):
        module_profile_files.build(document, name="m1", place="m1.toml")


def test_what_sara_r5_is_told_to_announce_is_what_is_waited_for() -> None:
    """+USIMSTAT is a bit mask (u-blox UBX-17003787): 1 reports the states 0 to 6, 2 the states 7 and 8, 4 REFRESH."""
    sara = module_profile_files.load_file(SHIPPED / "ublox-sara-r5.toml")
    assert sara.init.commands == ("AT+USIMSTAT=1",)
    waited = [n for n in range(14) if any(re.fullmatch(line, f"+UUSIMSTAT:{n}") for line in sara.events.sim_ready)]
    assert waited == [6]


def test_a_profile_says_up_to_which_release_a_technology_is_supported() -> None:
    text = MINIMAL.replace("[evidence]", "[releases]\neutran_epc = 13\ngsm = 99\n[evidence]") + (
        '"releases" = { grade = "guess", source = "a data sheet" }\n'
    )
    assert parse(text).releases.known() == {"gsm": 99, "eutran_epc": 13}
    assert parse(MINIMAL).releases.known() == {}
    for wrong in ("eutran_epc = 0", "lte = 13", "utran = true"):
        with pytest.raises(ProfileError, match="releases"):
            parse(text.replace("eutran_epc = 13", wrong))


@pytest.mark.parametrize(
    "line", ["quectel.*", "EM05([^0-9].*)?", r"\+QIND: \"SMS.*", "a**", "(", "[a", "x{2,1}", "*a", "+"]
)
def test_a_pattern_that_is_not_compiled_to_be_known_as_good_is_good(line: str) -> None:
    try:
        re.compile(line)
    except re.error:
        with pytest.raises(ValueError, match="is no regular expression"):
            profile_value_checks.pattern(line)
    else:
        assert profile_value_checks.pattern(line) == line


@given(st.text(st.sampled_from(r'aZ0 _,:"=/-.*+\()[]{}?^$%#|'), min_size=1, max_size=12))
def test_no_pattern_passes_uncompiled_that_would_not_compile(line: str) -> None:
    if profile_value_checks._SURELY_A_PATTERN.fullmatch(line):
        re.compile(line)
