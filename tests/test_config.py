from __future__ import annotations

import dataclasses
import logging
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.config import Config, ConfigErrors, EimConfig, SecretError, SecretFile, check, load, loads
from ipad_agent.config.config_model import SECTIONS
from ipad_agent.errors import ConfigError, Remedy, Side
from ipad_agent.policy import NBIOT, NORMAL
from ipad_agent.policy.guardian import guardian_settings
from ipad_agent.policy.polling.daily_window import DailyWindow
from ipad_agent.policy.switching import switch_settings

PATH = Path("/etc/ipad-agent/config.toml")


def read(text: str) -> Config:
    return loads(text.encode(), PATH)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


# What is right.


def test_an_empty_file_gives_the_defaults() -> None:
    config = read("")
    assert dataclasses.replace(config, path=None, origins={}) == Config()
    assert config.modem.baud == 115_200
    assert config.modem.lock_dir == Path("/run/lock")
    assert config.card.isdr_aids == (bytes.fromhex("A0000005591010FFFFFFFF8900000100"),)
    assert (config.card.apdu_timeout_s, config.card.last_block_timeout_s) == (60, 240)
    assert (config.store.state_dir, config.store.runtime_dir) == (Path("/var/lib/ipad-agent"), Path("/run/ipad-agent"))
    assert config.provisioning.allow
    assert config.ipa.features == ()
    assert config.eim == ()
    assert not config.modem.allow_nvm_writes
    assert not config.trust.allow_expired


def test_values_of_the_file_arrive_with_their_types() -> None:
    config = read(
        """
        [modem]
        port = "/dev/ttyUSB2"
        profiles_dir = "modems"
        [card]
        isdr_aids = ["a000000559101001", "A0000005591010FFFFFFFF8900000100"]
        [provisioning]
        initial_eim = "/etc/ipad-agent/eim.der"
        [ipa]
        features = ["minimize_esipa_bytes"]
        imei = "490154203237518"
        [poll]
        interval_s = 7200
        jitter = 0.2
        [trust]
        ca_file = "ca.pem"
        [[eim]]
        id = "eim.example"
        host = "2001:db8::1"
        port = 15684
        content_format = 42
        psk_identity = "gateway"
        psk_key_file = "keys/psk"
        [[eim]]
        id = "2.999.1"
        enabled = false
        verify_name = "never"
        """
    )
    assert config.modem.profiles_dir == Path("/etc/ipad-agent/modems")
    assert config.card.isdr_aids[0] == bytes.fromhex("A000000559101001")
    assert config.provisioning.initial_eim == Path("/etc/ipad-agent/eim.der")
    assert config.poll.interval_s == 7200.0
    assert isinstance(config.poll.interval_s, float)
    assert config.trust.ca_file == Path("/etc/ipad-agent/ca.pem")
    first, second = config.eim
    assert (first.host, first.port, first.path, first.content_format) == ("2001:db8::1", 15684, "/gsma/rsp2/asn1", 42)
    assert first.psk_key_file == SecretFile("/etc/ipad-agent/keys/psk")
    assert (second.enabled, second.verify_name) == (False, "never")
    assert config.eim_named("2.999.1") is second
    assert config.eim_named("other") is None


def test_the_configuration_cannot_be_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read("").poll.interval_s = 1.0  # type: ignore[misc]  # the point of the test


def test_the_preset_changes_defaults_and_the_file_counts_more() -> None:
    assert read("").poll.settings() == NORMAL
    config = read('[poll]\npreset = "nbiot"\nfirst_s = 7\n[coap]\nblock_size = 64')
    assert config.poll.settings() == dataclasses.replace(NBIOT, first_s=7.0)
    assert (config.coap.ack_timeout_s, config.coap.block_size) == (9.0, 64)
    assert read("").coap.ack_timeout_s == 2.0


def test_switch_and_guardian_follow_the_preset_as_well() -> None:
    config = read("")
    assert config.switch.settings() == switch_settings.NORMAL
    assert config.guardian.settings() == guardian_settings.NORMAL
    config = read('[poll]\npreset = "nbiot"\n[switch]\nprobe_s = 20\n[guardian]\nenabled = false')
    assert config.switch.settings() == dataclasses.replace(switch_settings.NBIOT, probe_s=20.0)
    assert config.guardian.settings() == dataclasses.replace(guardian_settings.NBIOT, enabled=False)


@pytest.mark.parametrize("settings", [switch_settings.NORMAL, switch_settings.NBIOT])
def test_the_stages_of_a_proof_fit_into_the_time_for_it(settings: switch_settings.SwitchSettings) -> None:
    stages_s = settings.registration_s + settings.ip_s + settings.dns_s + settings.eim_s + settings.application_s
    assert stages_s < settings.confirm_s


def test_what_the_site_asks_for_arrives_with_its_types() -> None:
    config = read(
        """
        [conditions]
        windows = ["22:00-05:00", "12:00-13:30", "06:00-24:00"]
        min_signal_dbm = -110
        [site]
        hooks_dir = "hooks"
        interface = "wwan0.100"
        application_probe = "tcp://[2001:db8::1]:8883"
        [switch]
        success = "application-probe"
        [local]
        read_group = ""
        [led]
        name = "green:status"
        [budget]
        warn = [1, 0.9]
        """
    )
    assert config.conditions.windows == (DailyWindow(1320, 300), DailyWindow(720, 810), DailyWindow(360, 1440))
    assert config.conditions.min_signal_dbm == -110
    assert (config.conditions.retry_s, config.conditions.max_hold_s) == (900, 604_800)
    assert (config.site.hooks_dir, config.site.conditions_dir) == (
        Path("/etc/ipad-agent/hooks"),
        Path("/etc/ipad-agent/conditions.d"),
    )
    assert config.site.application_probe == "tcp://[2001:db8::1]:8883"
    assert config.switch.settings().success == "application-probe"
    assert (config.local.read_group, config.local.control_group) == ("", "ipad-admin")
    assert (config.local.memory_reset, config.local.emergency) == (False, True)
    assert config.led.name == "green:status"
    assert config.budget.warn == (1.0, 0.9)


def test_every_value_tells_where_it_comes_from() -> None:
    config = read('[poll]\npreset = "nbiot"\nfirst_s = 7\n[[eim]]\nid = "a"')
    places = {place: (value, origin) for place, value, origin in config.places()}
    assert places["poll.first_s"] == (7.0, "file")
    assert places["poll.phase_window_s"] == (900.0, "preset nbiot")
    assert places["coap.ack_timeout_s"] == (9.0, "preset nbiot")
    assert places["poll.interval_s"] == (86_400.0, "default")
    assert places["eim[0].id"] == ("a", "file")
    assert places["eim[0].path"] == ("/gsma/rsp2/asn1", "default")
    assert len(places) == sum(len(fields(kind)) for kind in (*SECTIONS.values(), EimConfig))


def test_the_example_in_the_documentation_is_right() -> None:
    example = Path(__file__).parent.parent / "docs" / "example.toml"
    assert load(example).modem.port == "/dev/ttyUSB2"
    # Its commented lines are right as well: they are what a reader will uncomment.
    lines = example.read_text().splitlines()
    uncommented = [line.removeprefix("# ") if "=" in line or "# [" in line else line for line in lines]
    config = loads("\n".join(uncommented).replace("/etc/ipad-agent/config.toml:", "#").encode(), PATH)
    assert config.eim_named("eim.example.com") is not None
    assert config.provisioning.initial_eim is not None
    assert config.conditions.windows == (DailyWindow(22 * 60, 5 * 60),)
    assert config.site.interface == "wwan0"


# What is wrong.


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[poll]\ninterval = 5", "poll.interval: is not known; did you mean poll.interval_s?"),
        ("[pol]\ninterval_s = 5", "pol: is not known; did you mean poll?"),
        ("[coap]\nbaud = 5", "coap.baud: is not known; did you mean modem.baud?"),
        ("[log]\nzzz = 5", "log.zzz: is not known; allowed: the keys of [log] level, style"),
        (
            '[[eim]]\nid = "a"\nhots = "b"',
            "eim[0].hots: is not known; did you mean eim[0].host?",
        ),
        ('[poll]\ninterval_s = "5"', "poll.interval_s: a string is of the wrong type; allowed: a number from 1 to"),
        ("[poll]\ninterval_s = true", "poll.interval_s: a boolean is of the wrong type"),
        ("[poll]\ninterval_s = 0", "poll.interval_s: 0 is not allowed; allowed: a number from 1 to 2678400 (seconds)"),
        ("[poll]\ninterval_s = nan", "poll.interval_s: nan is not allowed"),
        ("[poll]\ninterval_s = inf", "poll.interval_s: inf is not allowed"),
        ("[poll]\nmax_packages = 1.5", "poll.max_packages: a number is of the wrong type"),
        ("[poll]\nmax_packages = true", "poll.max_packages: a boolean is of the wrong type"),
        ('[poll]\npreset = "slow"', 'poll.preset: "slow" is not allowed; allowed: "normal", "nbiot"'),
        ("[coap]\nblock_size = 100", "coap.block_size: 100 is not allowed; allowed: 16, 32, 64, 128, 256, 512, 1024"),
        ("[modem]\nallow_nvm_writes = 1", "modem.allow_nvm_writes: an integer is of the wrong type; allowed: true or"),
        ('[modem]\nport = ""', 'modem.port: "" is not allowed'),
        ('[modem]\nport = "ttyUSB2"', 'modem.port: "ttyUSB2" is not allowed'),
        ('[modem]\nport = "rfc2217://bench:4000"', 'modem.port: "rfc2217://bench:4000" is not allowed'),
        ('[modem]\nport = "socket://bench"', 'modem.port: "socket://bench" is not allowed'),
        ('[modem]\nport = "socket://bench:65536"', 'modem.port: "socket://bench:65536" is not allowed'),
        ("[modem]\nprofiles_dir = 7", "modem.profiles_dir: an integer is of the wrong type; allowed: a folder"),
        ('[store]\nstate_dir = ""', "store.state_dir: an empty path"),
        ("[card]\nisdr_aids = []", "card.isdr_aids: a list of 0 items"),
        ('[card]\nisdr_aids = ["A0"]', 'card.isdr_aids: "A0" is not allowed; allowed: a list of: 5 to 16 bytes'),
        ('[card]\nisdr_aids = ["A000000559", "a000000559"]', "card.isdr_aids: 'a000000559' twice"),
        ('[card]\nisdr_aids = "A000000559"', "card.isdr_aids: a string is of the wrong type"),
        ("[card]\nisdr_aids = [7]", "card.isdr_aids: an integer is of the wrong type"),
        ('[ipa]\nfeatures = ["flying"]', 'ipa.features: "flying" is not allowed'),
        ('[ipa]\nimei = "12"', 'ipa.imei: "12" is not allowed; allowed: 14 to 16 digits'),
        ("[ipa]\nimei = 490154203237518", "ipa.imei: an integer is of the wrong type"),
        ("[[eim]]\nport = 1", "eim[0].id: is missing; allowed: an eimId"),
        ('[[eim]]\nid = "a"\n[[eim]]\nid = "a"', 'eim[1].id: "a" is there twice'),
        ('[[eim]]\nid = ""', 'eim[0].id: "" is not allowed'),
        (
            '[[eim]]\nid = "a"\nhost = "b:5684"',
            'eim[0].host: "b:5684" is not allowed; allowed: a host name or address,',
        ),
        ('[[eim]]\nid = "a"\nport = 70000', "eim[0].port: 70000 is not allowed; allowed: an integer from 1 to 65535"),
        ('[[eim]]\nid = "a"\npath = "gsma"', 'eim[0].path: "gsma" is not allowed; allowed: a path that begins with'),
        ("[power]\nactive_s = 20", "power.update_s: is missing; allowed: power.active_s and power.update_s together"),
        ("[power]\nactive_s = 700\nupdate_s = 600", "power.update_s: is not longer than power.active_s; allowed: a"),
        (
            "[power]\nactive_s = 5\nupdate_s = 600",
            "power.active_s: 5 is not allowed; allowed: a number from 16 to",
        ),
        ('[[eim]]\nid = "a"\npsk_identity = "g"', "eim[0].psk_key_file: is missing; allowed: psk_identity and"),
        ('[[eim]]\nid = "a"\npsk_key_file = "g"', "eim[0].psk_identity: is missing; allowed: psk_identity and"),
        ('[[eim]]\nid = "a"\nclient_key_file = "g"', "eim[0].client_certificate: is missing; allowed: client_cert"),
        ('[[eim]]\nid = "a"\nclient_certificate = "g"', "eim[0].client_key_file: is missing; allowed: client_cert"),
        ('[eim]\nid = "a"', "eim: is of the wrong type; allowed: tables [[eim]]"),
        ("poll = 7", "poll: an integer is of the wrong type; allowed: a table [poll]"),
        ("[[poll]]\ninterval_s = 1", "poll: a list is of the wrong type"),
        ("[poll]\ninterval_s = 2020-01-01", "poll.interval_s: a date or time is of the wrong type"),
        ("[switch]\nconfirm_s = 4", "switch.confirm_s: 4 is not allowed; allowed: a number from 5 to 3600 (seconds)"),
        (
            '[switch]\nsuccess = "application-probe"',
            "site.application_probe: is missing; allowed: what switch.success = ",
        ),
        ('[conditions]\nwindows = "22:00-05:00"', "conditions.windows: a string is of the wrong type"),
        (
            '[conditions]\nwindows = ["22:00-5:00"]',
            'conditions.windows: "22:00-5:00": no time of the form HH:MM-HH:MM; allowed: a list of: "HH:MM-HH:MM"',
        ),
        ('[conditions]\nwindows = ["22:00-22:00"]', 'conditions.windows: "22:00-22:00": begins when it ends'),
        ("[conditions]\nwindows = [22]", "conditions.windows: an integer is of the wrong type"),
        ("[conditions]\nmin_signal_dbm = 10", "conditions.min_signal_dbm: 10 is not allowed; allowed: an integer from"),
        ('[site]\ninterface = "../wwan0"', 'site.interface: "../wwan0" is not allowed'),
        ('[site]\ninterface = "wwan0123456789ab"', "site.interface: a text of 16 characters is too long"),
        ('[site]\napplication_probe = "tcp://host"', 'site.application_probe: "tcp://host" is not allowed'),
        ('[site]\napplication_probe = "probe.sh"', 'site.application_probe: "probe.sh" is not allowed'),
        ('[led]\nname = ".."', 'led.name: ".." is not allowed'),
        ('[local]\nread_group = "a/b"', 'local.read_group: "a/b" is not allowed'),
        ("[budget]\nwarn = [0]", "budget.warn: 0 is not allowed; allowed: a list of: a number from 0.01 to 1"),
        ("[poll\n", "file: no TOML: Expected ']' at the end of a table declaration (at line 1, column 6)"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(text: str, sentence: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(sentence)


def test_all_mistakes_of_a_file_are_reported_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        read('[poll]\ninterval_s = 0\njitter = 3\n[log]\nlevel = "loud"\n[[eim]]\nport = 0')
    assert [problem.place for problem in caught.value.problems] == [
        "poll.interval_s",
        "poll.jitter",
        "log.level",
        "eim[0].port",
        "eim[0].id",
    ]
    assert str(caught.value).startswith("/etc/ipad-agent/config.toml: 5 problems\n  poll.interval_s: 0 is not allowed")
    assert caught.value.side is Side.CONFIG
    assert caught.value.remedy is Remedy.ASK_PERSON
    assert "check-config" in caught.value.hint


@pytest.mark.parametrize("key", ["00112233445566778899aabbccddeeff", "0" * 64])
def test_a_key_in_the_place_of_its_file_is_refused_and_not_repeated(key: str) -> None:
    (problem,) = problems(f'[[eim]]\nid = "a"\npsk_identity = "g"\npsk_key_file = "{key}"')
    assert problem.startswith("eim[0].psk_key_file: this looks like a key; write it to a file")
    assert key not in problem


def test_a_file_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    assert "cannot be read: No such file or directory" in str(caught.value)


def test_a_huge_or_binary_file_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * (2 << 20))
    assert check(huge) == [f"{huge}: is larger than one megabyte"]
    assert problems_of_bytes(b"a\xff") == ["file: byte 1 is no UTF-8; allowed: a text in UTF-8"]
    assert problems_of_bytes("[poll]".encode("utf-16")) == ["file: is UTF-16; allowed: a text in UTF-8"]
    (nested,) = problems_of_bytes(b"a = " + b"[" * 100_000)
    assert nested.startswith("file: no TOML")


def test_an_eim_id_may_have_128_characters_and_no_more() -> None:
    assert read('[[eim]]\nid = "' + "x" * 128 + '"').eim[0].id == "x" * 128
    assert problems('[[eim]]\nid = "' + "x" * 129 + '"')[0].startswith("eim[0].id: a text of 129 characters is too")


def problems_of_bytes(content: bytes) -> list[str]:
    try:
        loads(content, PATH)
    except ConfigErrors as errors:
        return [str(problem) for problem in errors.problems] or ["refused without a reason"]
    return []


SCALARS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats().map(lambda number: repr(number).replace("e", "e+") if "e-" not in repr(number) else "0.5"),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=12).map(
        '"{}"'.format
    ),
    st.just("[]"),
    st.just('["x", 1]'),
    st.just("{}"),
    st.just("07:32:00"),
)
KEYS = sorted({item.name for kind in (*SECTIONS.values(), EimConfig) for item in fields(kind)})


@given(st.sampled_from([f"[{name}]" for name in SECTIONS] + ["[[eim]]", ""]), st.sampled_from(KEYS), SCALARS)
def test_any_value_at_any_key_is_accepted_or_refused_in_words(section: str, name: str, value: str) -> None:
    found = problems_of_bytes(f"{section}\n{name} = {value}".encode())
    assert all(": " in problem for problem in found)


@given(st.binary(max_size=60))
def test_any_bytes_raise_only_configuration_errors(content: bytes) -> None:
    assert all(": " in problem for problem in problems_of_bytes(content))


# Files that are named.


def test_check_looks_at_the_files_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "psk").write_text("00" * 16)
    (tmp_path / "psk").chmod(0o644)
    config = tmp_path / "config.toml"
    config.write_text(
        '[provisioning]\ninitial_eim = "none.der"\n[trust]\nca_file = "none.pem"\n'
        '[download]\nconfirmation_code_file = "psk"\n'
        '[[eim]]\nid = "a"\npsk_identity = "g"\npsk_key_file = "psk"\n'
        '[[eim]]\nid = "b"\npsk_identity = "g"\npsk_key_file = "$CREDENTIALS_DIRECTORY/none"\n'
        '[[eim]]\nid = "c"\nclient_certificate = "none.crt"\nclient_key_file = "psk"\n'
    )
    found = check(config)
    assert [sentence.split(":")[0] for sentence in found] == [
        "provisioning.initial_eim",
        "trust.ca_file",
        "download.confirmation_code_file",
        "eim[0].psk_key_file",
        "eim[2].client_certificate",
        "eim[2].client_key_file",
    ]
    assert "No such file" in found[0]
    assert "can be read by every user" in found[2]
    (tmp_path / "psk").chmod(0o600)
    (tmp_path / "none.der").touch()
    (tmp_path / "none.pem").touch()
    (tmp_path / "none.crt").touch()
    assert check(config) == []


def test_check_looks_at_the_folders_and_programs_of_the_site_that_are_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[site]\nhooks_dir = "hooks"\napn_table = "apn.toml"\n'
        f'application_probe = "{tmp_path}/probe"\n[metrics]\ntextfile = "textfile/ipad.prom"\n'
    )
    assert [sentence.split(":")[0] for sentence in check(config)] == [
        "site.hooks_dir",
        "site.apn_table",
        "site.application_probe",
        "metrics.textfile",
    ]
    for name in ("hooks", "textfile"):
        (tmp_path / name).mkdir()
    for name in ("apn.toml", "probe"):
        (tmp_path / name).touch()
    assert check(config) == []


def test_check_reports_mistakes_as_sentences(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[poll]\njitter = 9")
    assert check(config) == ["poll.jitter: 9 is not allowed; allowed: a number from 0 to 0.5 (line 2, column 1)"]


def test_a_key_is_read_from_its_file_when_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "psk"
    path.write_text("0011 2233\n4455 FFfe\n")
    path.chmod(0o600)
    secret = SecretFile(str(path))
    assert secret.read_key() == bytes.fromhex("001122334455fffe")
    assert "0011" not in repr(secret)


def test_a_code_is_the_one_line_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "code"
    path.touch(mode=0o600)
    path.write_text("  0123 ä\n\n")
    assert SecretFile(str(path)).read_text() == "0123 ä"
    for content in (b"", b" \n", b"hunter2\nhunter3", b"hunter2\xff", b"x" * 256):
        path.write_bytes(content)
        with pytest.raises(SecretError) as caught:
            SecretFile(str(path)).read_text()
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"
        assert caught.value.__cause__ is None


def test_a_certificate_and_its_key_are_read_as_they_are_from_files_or_credentials(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "crt").write_bytes(b"-----BEGIN CERTIFICATE-----")
    (tmp_path / "crt").chmod(0o644)
    with caplog.at_level(logging.WARNING, logger="ipad_agent"):
        assert SecretFile(str(tmp_path / "crt")).read_pem(public=True) == b"-----BEGIN CERTIFICATE-----"
        assert caplog.records == []
        named = SecretFile.named("$CREDENTIALS_DIRECTORY/crt", Path("/etc"))
        assert named.read_pem({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == b"-----BEGIN CERTIFICATE-----"
        assert [record.event.id for record in caplog.records if hasattr(record, "event")] == ["IPA-1103"]
    (tmp_path / "crt").write_bytes(b"x" * 65537)
    with pytest.raises(SecretError, match="too large"):
        SecretFile(str(tmp_path / "crt")).read_pem()


def test_a_key_in_a_token_is_refused_in_a_sentence_that_does_not_repeat_its_pin() -> None:
    text = '[[eim]]\nid = "a"\nclient_certificate = "a.crt"\nclient_key_file = "pkcs11:object=device;pin-value=4711"'
    (problem,) = problems(text)
    assert problem.startswith("eim[0].client_key_file: PKCS#11 URIs cannot be used")
    assert "4711" not in problem
    (problem,) = problems(
        '[[eim]]\nid = "a"\nclient_certificate = "a"\nclient_key_file = "-----BEGIN PRIVATE KEY-----"'
    )
    assert problem.startswith("eim[0].client_key_file: this is the content")
    assert "-----" not in problem


def test_a_key_is_read_from_the_credentials_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "psk").write_text("ff")
    secret = SecretFile.named("$CREDENTIALS_DIRECTORY/psk", Path("/etc"))
    assert secret.read_key({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == b"\xff"
    with pytest.raises(SecretError, match="systemd gave this process no credentials"):
        secret.read_key({})


@pytest.mark.parametrize("content", [b"not hex: hunter2", b"", b"  \n", b"\xff\xfe", b"00" * 65, b"0"])
def test_a_key_file_that_holds_no_key_is_refused_without_telling_its_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "psk"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SecretError) as caught:
        SecretFile(str(path)).read_key()
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None


def test_a_key_file_open_to_others_is_used_but_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "psk"
    path.write_text("ff")
    path.chmod(0o604)
    with caplog.at_level(logging.WARNING, logger="ipad_agent"):
        assert SecretFile(str(path)).read_key() == b"\xff"
    assert [record.event.id for record in caplog.records if hasattr(record, "event")] == ["IPA-1103"]


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 4000, "-0x" + "f" * 4000], ids=["decimal", "hex", "minus"])
@pytest.mark.parametrize(
    "place", ["[poll]\ninterval_s", '[[eim]]\nid = "a"\nport', "[other]\nkey", "[coap]\nblock_size"]
)
def test_a_number_of_thousands_of_digits_is_a_mistake_of_the_file_and_no_crash(place: str, number: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(f"{place} = {number}")
    assert len(str(caught.value)) < 2000
