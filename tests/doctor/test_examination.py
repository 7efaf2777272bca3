"""The doctor layer by layer, on a machine, a modem and a card of our own.

Long: one layer after the other, each on the same machine that tests make up.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pty
import socket
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.card.apdu_channel import AidNotFound, CardNotReady
from ipad_agent.card.errors import NotSupportedByCard
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config, DownloadConfig, EimConfig, ModemConfig, SecretFile, TrustConfig
from ipad_agent.config.config_model import CardConfig, CoapConfig
from ipad_agent.doctor import Face, run_with
from ipad_agent.doctor import examination as engine
from ipad_agent.doctor.checks.machine import Lacking, Machine, Space
from ipad_agent.doctor.doctor_items import AGENT_BUSY, NEEDS, TITLES, URGENCY, Item, Layer, verdict
from ipad_agent.doctor.examination_facts import Endpoint
from ipad_agent.doctor.examined_rooms import Held
from ipad_agent.errors import EimError
from ipad_agent.lab.pki import Pki
from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.at.power_saving import PowerSaving
from ipad_agent.modem.errors import CommandTimeout, LinkDead, PortBusy
from ipad_agent.modem.port.usb_sysfs import Tty, UsbDevice
from ipad_agent.net import CoapsEndpoint, HttpsEndpoint, Trust
from virtual_time import run

from .fakes import CONSUMER_INFO2, IOT_INFO2, FakeCard, FakeMachine, FakeModem, Findings, Patient

ABOVE_THE_CARD = [Layer.EUICC, Layer.ASSOCIATION, Layer.DNS, Layer.ROUTE, Layer.HANDSHAKE, Layer.EIM]
# An uncompressed point needs not be on the curve to be pinned: only its bytes are compared.
SPKI = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
ENTRY = EimConfigurationData.build(eim_id="eim.example", id_type=1, counter=0)


def examine(patient: Patient) -> Findings:
    return run(patient.examine())


async def timed(patient: Patient) -> tuple[Findings, float]:
    """What was found, and how many seconds it took."""
    began = asyncio.get_running_loop().time()
    return await patient.examine(), asyncio.get_running_loop().time() - began


def not_checked(found: Findings, layers: list[Layer]) -> bool:
    return all(found.of(layer).ok is None and "Not checked" in found.of(layer).sentence for layer in layers)


# -- the table -------------------------------------------------------------------------------------------------------


def test_every_layer_is_looked_at_once_after_what_it_stands_on() -> None:
    order = [row.layer for row in engine.TABLE]
    assert sorted(order) == sorted(set(Layer) - {Layer.VERDICT})
    assert all(order.index(need) < order.index(layer) for layer, needs in NEEDS.items() for need in needs)
    assert set(URGENCY) == set(TITLES) == set(order)
    assert len(set(URGENCY)) == len(URGENCY)


def test_whoever_talks_to_modem_or_card_takes_the_agents_turn_and_nobody_else_does() -> None:
    patient = Patient(card=FakeCard(eims=(ENTRY,)))

    async def watch() -> None:
        for name in ("_ask",):
            for part in (patient.modem, patient.card):
                asked = getattr(part, name)

                async def checked(question: str, asked: object = asked) -> None:
                    assert patient.card_requests.taken, question
                    await asked(question)  # type: ignore[operator]  # the method it stands for

                setattr(part, name, checked)
        await patient.examine()

    run(watch())
    assert patient.card_requests.count == sum(row.turn for row in engine.TABLE)


def test_the_turn_is_given_back_before_anything_is_told() -> None:
    patient = Patient()

    async def look() -> None:
        async with aclosing(run_with(patient.parts())) as items:
            async for _ in items:
                assert not patient.card_requests.taken

    run(look())


def test_a_card_channel_is_released_within_each_turn() -> None:
    patient = Patient(card=FakeCard(eims=(ENTRY,)))
    examine(patient)
    assert patient.card.asked.count("release") == patient.card_requests.count


def test_an_agent_that_is_busy_is_not_disturbed_and_the_rest_is_examined() -> None:
    patient = Patient()
    patient.card_requests.taken = True

    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    class Busy:
        async def __aenter__(self) -> None:
            await wait_for_ever()

        async def __aexit__(self, *_: object) -> None:
            raise AssertionError("it was never entered")

    patient.card_requests.take = Busy  # type: ignore[method-assign]
    found, took_s = run(timed(patient))
    assert took_s < engine.TURN_S + 30
    assert patient.modem.asked == patient.card.asked == []
    assert "busy" in found.of(Layer.AT).sentence
    assert found.of(Layer.DISK).ok
    assert not found.wrong


def test_an_agent_that_gives_no_turn_says_why() -> None:
    patient = Patient()

    class Refusing:
        async def __aenter__(self) -> None:
            raise EimError("too many others wait for the card")

        async def __aexit__(self, *_: object) -> None:
            raise AssertionError("it was never entered")

    patient.card_requests.take = Refusing  # type: ignore[method-assign]
    found = examine(patient)
    assert patient.modem.asked == patient.card.asked == []
    assert found.of(Layer.AT).sentence == "Not checked: too many others wait for the card."


def test_a_check_that_hangs_ends_at_its_deadline() -> None:
    patient = Patient(card=FakeCard(eims=(ENTRY,)))

    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    patient.modem.sim_state = hang  # type: ignore[method-assign]

    found, took_s = run(timed(patient))
    (row,) = (row for row in engine.TABLE if row.layer is Layer.SIM)
    assert took_s <= row.deadline_s + 1
    assert "not answered within" in found.of(Layer.SIM).sentence
    assert found.wrong == ["sim"]
    assert found.of(Layer.EUICC).ok


def test_an_examination_that_is_given_up_leaves_no_turn_behind() -> None:
    patient = Patient()

    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    patient.modem.sim_state = hang  # type: ignore[method-assign]

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await patient.examine()

    run(give_up())
    assert not patient.card_requests.taken


# -- the verdict -----------------------------------------------------------------------------------------------------


def test_of_several_things_the_one_below_the_others_is_to_be_done() -> None:
    items = [
        Item(Layer.CLOCK, False, "The clock is wrong.", "set it"),
        Item(Layer.PORT, False, "The port is held.", "free it"),
        Item(Layer.CI, False, "No CI.", "bring one"),
    ]
    last = verdict(items)
    assert (last.layer, last.ok, last.fix) == (Layer.VERDICT, False, "free it")
    assert last.sentence.startswith("The port is held.")
    assert "3 things" in last.sentence


def test_everything_in_order_says_so_and_what_was_not_told() -> None:
    assert verdict([Item(Layer.AT, True, "x")]).sentence == "Nothing is wrong."
    last = verdict([Item(Layer.AT, True, "x"), Item(Layer.CI, None, "x")])
    assert last.ok
    assert last.sentence.endswith("not checked: the certificates for SM-DP+s."), "in words that stand beside the layers"


def test_a_layer_of_which_something_is_in_order_is_not_said_to_be_unchecked() -> None:
    items = [Item(Layer.FACES, True, "socket: /run/x."), Item(Layer.FACES, None, "D-Bus: switched off.")]
    assert verdict(items).sentence == "Nothing is wrong."


def test_a_doctor_whom_the_agent_kept_from_the_modem_says_when_to_come_again() -> None:
    last = verdict([Item(Layer.DISK, True, "x"), *(Item(layer, None, AGENT_BUSY) for layer in (Layer.PORT, Layer.AT))])
    assert last.ok
    assert "were not" in last.sentence
    assert "ipactl status" in (last.fix or "")


def test_there_is_always_something_to_do_when_something_is_wrong() -> None:
    assert verdict([Item(Layer.AT, False, "x", "")]).fix


def test_an_item_as_data_and_as_a_line() -> None:
    item = Item(Layer.ISDR, False, "It is silent.", "Wake it.")
    assert item.plain() == {"layer": "isd-r", "ok": False, "sentence": "It is silent.", "fix": "Wake it."}
    assert item.line() == "FAIL isd-r: It is silent. Fix: Wake it."


# -- the machine -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "fix"),
    [(errno.ENOSPC, "Free space"), (errno.EROFS, "for writing"), (errno.EACCES, "agent's user"), (errno.EIO, "kernel")],
)
def test_a_state_directory_that_refuses_is_the_first_thing_to_be_mended(number: int, fix: str) -> None:
    folder = Path("/var/lib/ipad-agent")
    machine = FakeMachine(refusals={folder: OSError(number, "it said no")})
    found = examine(Patient(machine=machine, modem=FakeModem(trouble={"port": PortBusy("held")})))
    assert found.of(Layer.DISK).ok is False
    assert found.verdict.fix is not None
    assert fix in found.verdict.fix


def test_a_state_directory_that_the_agent_is_about_to_make_is_no_trouble() -> None:
    folder = Path("/var/lib/ipad-agent")
    missing = FileNotFoundError(errno.ENOENT, "no such directory")
    assert examine(Patient(machine=FakeMachine(refusals={folder: missing}))).of(Layer.DISK).ok is None
    both = {folder: missing, folder.parent: PermissionError(errno.EACCES, "no")}
    assert examine(Patient(machine=FakeMachine(refusals=both))).of(Layer.DISK).ok is False


@pytest.mark.parametrize(
    ("space", "ok"), [(Space(1000, 5000), False), (Space(9 << 20, 2), False), (Space(9 << 20, 99), True)]
)
def test_a_disk_that_is_nearly_full_is_told(space: Space, ok: bool) -> None:
    assert examine(Patient(machine=FakeMachine(room=space))).of(Layer.DISK).ok is ok


def test_the_real_machine_writes_and_leaves_nothing(tmp_path: Path) -> None:
    machine = Machine()
    machine.try_write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert machine.space(tmp_path).free_bytes > 0
    with pytest.raises(FileNotFoundError):
        machine.try_write(tmp_path / "missing")


def test_a_port_that_this_user_may_not_use_names_the_group() -> None:
    config = Config(modem=ModemConfig(port="/dev/ttyUSB2"))
    found = examine(Patient(config=config, machine=FakeMachine(usable=False)))
    fix = found.of(Layer.PERMISSIONS).fix
    assert fix is not None
    assert "dialout" in fix


def test_secret_files_are_tried_and_never_told(tmp_path: Path) -> None:
    key, code = tmp_path / "key", tmp_path / "code"
    key.write_text("no hexadecimal 5ecret")
    key.chmod(0o600)
    code.write_text("")
    code.chmod(0o600)
    config = Config(
        eim=(EimConfig(id="e", psk_identity="i", psk_key_file=SecretFile(str(key))),),
        download=DownloadConfig(confirmation_code_file=SecretFile(str(code))),
    )
    found = examine(Patient(config=config)).all(Layer.PERMISSIONS)
    assert [item.ok for item in found] == [False, False]
    assert not any("5ecret" in item.sentence for item in found)
    key.write_text("00" * 16)
    code.write_text("1234")
    assert examine(Patient(config=config)).of(Layer.PERMISSIONS).ok


def test_a_certificate_of_this_device_is_tried_and_its_key_never_told(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "crt"
    key.write_text("no key 5ecret")
    key.chmod(0o600)
    certificate.write_text("no certificate")
    eim = EimConfig(id="e", client_certificate=SecretFile(str(certificate)), client_key_file=SecretFile(str(key)))
    found = examine(Patient(config=Config(eim=(eim,)))).all(Layer.PERMISSIONS)
    assert [item.ok for item in found] == [False]
    assert "holds no certificate" in found[0].sentence
    assert "5ecret" not in found[0].sentence


def test_a_credential_of_the_service_is_not_counted_against_the_doctor_outside_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    secret = SecretFile("$CREDENTIALS_DIRECTORY/psk")
    config = Config(eim=(EimConfig(id="e", psk_identity="i", psk_key_file=secret),))
    assert examine(Patient(config=config)).of(Layer.PERMISSIONS).ok is None


@pytest.mark.parametrize(("wall_s", "ok"), [(0.0, False), (1_790_000_000.0, True), (1e18, False)])
def test_a_clock_that_cannot_be_right_is_told_with_what_it_says(wall_s: float, ok: bool) -> None:
    patient = Patient()
    patient.clock.wall_s = wall_s
    item = examine(patient).of(Layer.CLOCK)
    assert item.ok is ok
    if wall_s == 0:
        assert "1970-01-01 00:00" in item.sentence


def test_what_the_tls_library_lacks_is_named_and_weighed() -> None:
    missing = Lacking(coaps=("brainpoolP256r1",), https=("P-256",), psk="no callback")
    found = examine(Patient(machine=FakeMachine(missing=missing))).all(Layer.TLS)
    assert [item.ok for item in found] == [False, None, False]
    assert "brainpoolP256r1" in found[1].sentence
    assert "CoAP over DTLS" in found[1].sentence


def test_the_libraries_of_this_machine_have_what_they_are_tested_with() -> None:
    lacking = Machine().lacking(psk=True)
    assert lacking == Lacking(libraries=lacking.libraries, identifying=lacking.identifying)
    assert "Connection IDs" in lacking.identifying
    assert "OpenSSL" in lacking.libraries


@pytest.mark.parametrize(("offered", "words"), [(True, "a library with IDs"), (False, "switched off")])
def test_whether_connection_ids_are_offered_is_told_with_the_libraries(offered: bool, words: str) -> None:
    config = Config(coap=CoapConfig(connection_id=offered))
    lacking = Lacking(libraries="OpenSSL", identifying="a library with IDs")
    item = examine(Patient(config=config, machine=FakeMachine(missing=lacking))).of(Layer.TLS)
    assert item.ok
    assert "(OpenSSL; " in item.sentence
    assert words in item.sentence


def test_a_suite_or_curve_that_no_library_knows_is_found_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipad_agent.doctor.checks.machine.CURVES", ("P-256", "no-such-curve"))
    monkeypatch.setattr("ipad_agent.doctor.checks.machine.SUITES", ("NO-SUCH-SUITE",))
    monkeypatch.setattr("ipad_agent.doctor.checks.machine.HTTPS_SUITES", ("NO-SUCH-SUITE",))
    lacking = Machine().lacking(psk=False)
    assert lacking.coaps == lacking.https == ("no-such-curve", "NO-SUCH-SUITE")


def test_the_faces_of_the_agent_are_shown_as_it_knows_them() -> None:
    faces = (Face("socket", True, "3 clients"), Face("D-Bus", False, "the name is taken"), Face("x", None, "off"))
    found = examine(Patient(faces=faces)).all(Layer.FACES)
    assert [item.ok for item in found] == [True, False, None]


def test_without_the_agent_nothing_is_said_of_one_that_runs() -> None:
    found = examine(Patient(faces=())).of(Layer.FACES)
    assert found.ok is None
    assert found.sentence == "Not checked: a running agent has them; this was checked without one."


def test_a_configuration_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[poll]\ninterval_s = -1\n")
    found = examine(Patient(config=Config(path=path)))
    assert "poll.interval_s" in found.of(Layer.CONFIG).sentence
    assert found.verdict.sentence.startswith(str(path))


# -- the modem -------------------------------------------------------------------------------------------------------


def test_no_modem_stops_the_questions_at_the_usb_and_says_what_is_there() -> None:
    serial = (Tty(Path("/dev/ttyS0"), driver="serial8250"),)
    patient = Patient(config=Config(), machine=FakeMachine(serial=serial))
    found = examine(patient)
    assert found.wrong == ["usb"]
    assert "ttyS0" in found.of(Layer.USB).sentence
    assert not_checked(found, [Layer.PORT, Layer.AT, Layer.MODEM, Layer.SIM, Layer.ISDR, *ABOVE_THE_CARD])
    assert patient.modem.asked == patient.card.asked == []
    assert "modem on the USB" in found.of(Layer.HANDSHAKE).sentence


def test_a_known_modem_is_found_by_its_usb_identity() -> None:
    port = Tty(Path("/dev/ttyUSB2"), driver="option1", usb_id="2c7c:0125", interface=2, place="1-1", product="EG25-G")
    found = examine(Patient(config=Config(), machine=FakeMachine(serial=(port,), usb=(UsbDevice("1-1", "2c7c:0125"),))))
    assert found.of(Layer.USB).ok
    assert "EG25-G" in found.of(Layer.USB).sentence


def test_a_configured_port_that_is_gone_is_told_with_the_ports_that_are_there() -> None:
    config = Config(modem=ModemConfig(port="/dev/ttyUSB77"))
    item = examine(Patient(config=config, machine=FakeMachine(serial=(Tty(Path("/dev/ttyS0")),)))).of(Layer.USB)
    assert item.ok is False
    assert "/dev/ttyUSB77" in item.sentence
    assert "ttyS0" in item.sentence


def with_port(tmp_path: Path, **more: object) -> Patient:
    """A port that is there, as a UART's is."""
    device = tmp_path / "tty"
    device.touch()
    patient = Patient(config=Config(modem=ModemConfig(port=str(device))), **more)  # type: ignore[arg-type]  # by name
    patient.card.eims = (ENTRY,)
    return patient


def test_a_healthy_device_has_nothing_wrong(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path))
    assert found.wrong == []
    assert found.of(Layer.AT).sentence == "AT is answered within 12 ms."
    assert found.of(Layer.REGISTRATION).sentence == "The modem is registered at home (CEREG), -97 dBm (RSRP)."
    assert "Quectel EG25-G" in found.of(Layer.MODEM).sentence
    assert "414 kB free" in found.of(Layer.EUICC).sentence
    assert "v1.2.0" in found.of(Layer.EUICC).sentence
    assert found.verdict.ok


def test_the_slot_in_use_and_what_saves_power_are_told(tmp_path: Path) -> None:
    patient = with_port(tmp_path)
    patient.modem.card_slot = 2
    patient.modem.saving = PowerSaving(psm=True, active_s=10, edrx=False)
    found = examine(patient)
    assert found.of(Layer.SIM).sentence == "The modem says that the SIM in card slot 2 is ready."
    assert found.of(Layer.REGISTRATION).sentence.endswith("(RSRP); it saves power: PSM (asleep after 10 s).")
    patient.modem.state = "SIM not inserted"
    patient.card.trouble["eid"] = CardNotReady("no card")
    missing = examine(patient).of(Layer.SIM)
    assert missing.sentence == "There is no usable card in card slot 2: the modem says 'SIM not inserted'."
    assert "modem.slot" in (missing.fix or "")


def test_a_port_in_other_hands_is_not_opened(tmp_path: Path) -> None:
    patient = with_port(tmp_path, machine=FakeMachine(using=((77, "ModemManager"),)))
    found = examine(patient)
    assert patient.modem.asked == []
    assert "ModemManager (process 77)" in found.of(Layer.PORT).sentence
    assert found.verdict.fix is not None
    assert "99-ipad-agent.rules" in found.verdict.fix
    assert not_checked(found, [Layer.AT, Layer.SIM, Layer.ISDR, Layer.REGISTRATION, *ABOVE_THE_CARD])


def test_whoever_plays_a_modem_on_a_pseudo_terminal_is_no_other_program(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        link = tmp_path / "modem"
        link.symlink_to(os.ttyname(theirs))
        machine = FakeMachine(using=((os.getpid(), "ipad-agent"),))
        patient = Patient(config=Config(modem=ModemConfig(port=str(link))), machine=machine)
        found = examine(patient).of(Layer.PORT)
    finally:
        os.close(ours)
        os.close(theirs)
    assert found.ok
    assert "pseudo-terminal" in found.sentence
    assert "also used" not in found.sentence


def test_nobody_else_is_not_said_by_who_cannot_see_the_others(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path, machine=FakeMachine(sees_all=False)))
    assert found.of(Layer.PORT).ok
    assert "nobody else" not in found.of(Layer.PORT).sentence
    assert "not shown" in found.of(Layer.PORT).sentence
    assert "nobody else" in examine(with_port(tmp_path)).of(Layer.PORT).sentence


def test_a_running_agent_keeps_its_port(tmp_path: Path) -> None:
    patient = with_port(tmp_path, held=Held("The agent is running.", "Ask it."))
    found = examine(patient)
    assert patient.modem.asked == []
    assert found.wrong == ["port"]
    assert found.verdict.fix == "Ask it."


@pytest.mark.parametrize(
    "trouble", [{"port": LinkDead("no answer to AT")}, {"ping": CommandTimeout("no answer to AT")}]
)
def test_a_silent_modem_is_told_apart_from_a_port_that_does_not_open(
    tmp_path: Path, trouble: dict[str, Exception]
) -> None:
    found = examine(with_port(tmp_path, modem=FakeModem(trouble=trouble)))
    assert found.of(Layer.PORT).ok
    assert found.wrong == ["at"]
    assert not_checked(found, [Layer.MODEM, Layer.SIM, Layer.ISDR, *ABOVE_THE_CARD])


def test_a_slow_modem_is_remarked_upon(tmp_path: Path) -> None:
    assert examine(with_port(tmp_path, modem=FakeModem(took_s=2.5))).of(Layer.AT).ok is None


def test_a_radio_that_is_off_is_told_and_not_switched_on(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path, modem=FakeModem(level=4)))
    assert "AT+CFUN=4" in found.of(Layer.MODEM).sentence


@pytest.mark.parametrize(
    ("network", "ok"), [(None, None), (Registration(3, "CEREG"), False), (Registration(5, "CREG"), True)]
)
def test_the_network_that_the_modem_sees(tmp_path: Path, network: Registration | None, ok: bool | None) -> None:
    found = examine(with_port(tmp_path, modem=FakeModem(network=network)))
    assert found.of(Layer.REGISTRATION).ok is ok
    assert "Not checked" not in found.of(Layer.ASSOCIATION).sentence


# -- the card --------------------------------------------------------------------------------------------------------


def test_no_card_is_told_as_that(tmp_path: Path) -> None:
    modem, card = FakeModem(state="SIM not inserted"), FakeCard(trouble={"eid": CardNotReady("refused")})
    found = examine(with_port(tmp_path, modem=modem, card=card))
    assert found.wrong == ["sim"]
    assert "SIM not inserted" in found.verdict.sentence
    assert not_checked(found, [Layer.ISDR, Layer.REGISTRATION, *ABOVE_THE_CARD])


def test_an_euicc_without_an_enabled_profile_is_no_missing_card(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path, modem=FakeModem(state="SIM failure")))
    assert found.of(Layer.SIM).ok is None
    assert found.of(Layer.ISDR).ok
    assert found.wrong == []


def test_a_profile_that_wants_its_pin_is_told_and_the_card_is_examined(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path, modem=FakeModem(state="SIM PIN")))
    assert found.wrong == ["sim"]
    assert found.of(Layer.EUICC).ok


def test_a_card_without_isd_r_is_told_with_the_errors_own_advice(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path, card=FakeCard(trouble={"eid": AidNotFound("no such application")})))
    assert found.wrong == ["isd-r"]
    assert found.verdict.fix == AidNotFound.default_hint


def test_a_consumer_card_is_named_and_left_alone(tmp_path: Path) -> None:
    no_eims = NotSupportedByCard("GetEimConfigurationData: the card answered 6A88")
    patient = with_port(tmp_path, card=FakeCard(info2=CONSUMER_INFO2, trouble={"eims": no_eims}))
    found = examine(patient)
    assert found.wrong == ["euicc"]
    assert "consumer" in found.verdict.sentence
    assert "profiles" not in patient.card.asked


def test_a_card_that_lists_its_eims_is_an_iot_card_whatever_it_says_of_itself(tmp_path: Path) -> None:
    found = examine(with_port(tmp_path, card=FakeCard(info2=CONSUMER_INFO2)))
    assert found.of(Layer.EUICC).ok
    assert "consumer" not in found.of(Layer.EUICC).sentence


def test_a_card_in_ipae_mode_is_wrong_unless_the_owner_takes_it(tmp_path: Path) -> None:
    ipae = IOT_INFO2.replace(bytes.fromhex("900100"), bytes.fromhex("900101"))
    patient = with_port(tmp_path, card=FakeCard(info2=ipae))
    found = examine(patient)
    assert found.wrong == ["euicc"]
    assert found.verdict.fix is not None
    assert "card.take_from_ipae" in found.verdict.fix
    patient = with_port(tmp_path, card=FakeCard(info2=ipae))
    patient.config = replace(patient.config, card=CardConfig(take_from_ipae=True))
    found = examine(patient)
    assert found.wrong == []
    assert "eims" in patient.card.asked


def test_wrong_check_digits_are_a_remark(tmp_path: Path) -> None:
    odd = Eid.parse("89049032123451234512345678901236")
    found = examine(with_port(tmp_path, card=FakeCard(eid=odd)))
    assert [item.ok for item in found.all(Layer.EUICC)] == [True, None]


def test_no_message_holds_the_whole_eid(tmp_path: Path) -> None:
    patient = with_port(tmp_path)
    found = examine(patient)
    assert not any(str(patient.card.eid) in item.line() for item in found)


def test_a_card_that_nobody_manages_is_told_with_what_to_set(tmp_path: Path) -> None:
    patient = with_port(tmp_path)
    patient.card.eims = ()
    found = examine(patient)
    assert found.wrong == ["association"]
    assert found.verdict.fix is not None
    assert "provisioning.initial_eim" in found.verdict.fix


@pytest.mark.parametrize(("enabled", "ok"), [(True, False), (False, None)])
def test_an_eim_without_a_way_is_trouble_unless_that_is_wanted(tmp_path: Path, enabled: bool, ok: bool | None) -> None:
    patient = with_port(tmp_path)
    patient.config = replace(patient.config, eim=(EimConfig(id="eim.example", enabled=enabled),))
    parts = patient.parts()

    def refuse(entry: EimConfigurationData) -> tuple[Endpoint, ...]:
        raise EimError("no way", hint="build one")

    async def look() -> Findings:
        return Findings([item async for item in run_with(replace(parts, ways=refuse))])  # type: ignore[type-var]

    assert run(look()).of(Layer.ASSOCIATION).ok is ok


# -- certificates for SM-DP+s ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"))


def ci_of(tmp_path: Path, trust: TrustConfig) -> Item:
    patient = with_port(tmp_path)
    patient.config = replace(patient.config, trust=trust)
    return examine(patient).of(Layer.CI)


def test_a_folder_of_ci_certificates_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    item = ci_of(tmp_path, TrustConfig(ci_dir=tmp_path / "missing"))
    assert item.ok is False
    assert item.fix is not None
    assert "trust.ci_dir" in item.fix


def test_certificates_of_other_cis_are_no_use_and_the_wanted_key_is_named(tmp_path: Path, pki: Pki) -> None:
    folder = tmp_path / "ci"
    folder.mkdir()
    (folder / "ci.der").write_bytes(pki["ci"].cert_der)
    item = ci_of(tmp_path, TrustConfig(ci_dir=folder))
    assert item.ok is False
    assert item.fix is not None
    assert "C0FFEE01" in item.fix


def test_without_a_folder_downloads_go_through_the_eim(tmp_path: Path) -> None:
    assert ci_of(tmp_path, TrustConfig()).ok is None


# -- the way to the eIM ----------------------------------------------------------------------------------------------


def reach(tmp_path: Path, *ways: Endpoint) -> Findings:
    """In real time: names, routes and servers are the system's."""
    patient = with_port(tmp_path, ways=ways, polls={"eim.example": "it was fine."})
    return asyncio.run(patient.examine())


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]  # bound and not listening: connections are refused


def test_a_name_that_does_not_resolve_stops_there(tmp_path: Path) -> None:
    found = reach(tmp_path, CoapsEndpoint("no-such-host.invalid", Trust.spki(SPKI)))
    assert found.wrong == ["dns"]
    assert not_checked(found, [Layer.ROUTE, Layer.HANDSHAKE, Layer.EIM])
    assert found.verdict.fix is not None
    assert "name server" in found.verdict.fix


def test_a_tcp_port_that_nobody_listens_on_is_told_before_the_handshake(tmp_path: Path, closed_port: int) -> None:
    found = reach(tmp_path, HttpsEndpoint("127.0.0.1", Trust.spki(SPKI), port=closed_port))
    assert found.wrong == ["route"]
    assert "over TCP" in found.of(Layer.ROUTE).sentence


def test_a_udp_port_that_nobody_listens_on_is_told_by_the_handshake(tmp_path: Path, closed_port: int) -> None:
    found = reach(tmp_path, CoapsEndpoint("127.0.0.1", Trust.spki(SPKI), port=closed_port))
    assert found.of(Layer.ROUTE).ok
    assert found.wrong == ["handshake"]
    assert "not reachable" in found.of(Layer.HANDSHAKE).sentence


def test_what_is_known_of_the_last_poll_is_told_instead_of_asking(tmp_path: Path, closed_port: int) -> None:
    patient = with_port(tmp_path, polls={"eim.example": "it was fine."})
    patient.ways = (CoapsEndpoint("127.0.0.1", Trust.spki(SPKI), port=closed_port),)
    found = asyncio.run(patient.examine())
    assert "Not checked" in found.of(Layer.EIM).sentence
