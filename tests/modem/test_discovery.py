"""``modem.port = "auto"``: from what the kernel tells about ports to the one that is opened."""

from __future__ import annotations

import logging
import os
import pty
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.errors import Remedy
from ipad_agent.modem import module_profile_files
from ipad_agent.modem.errors import ModemNotFound, PortUnavailable, ProfileError, SeveralModems
from ipad_agent.modem.module_profile import ModuleProfile, UsbPorts
from ipad_agent.modem.port.port_discovery import RESTART_S, DiscoveringOpener, choose, match
from ipad_agent.modem.port.serial_port import SerialSettings
from ipad_agent.modem.port.usb_sysfs import Tty, UsbDevice, read_ttys, read_usb_devices

from .sys_tree import SysTree

SHIPPED = module_profile_files.load([Path(__file__).resolve().parents[2] / "hw" / "modems"]).profiles
BY_PATH = "dev/serial/by-path/pci-0000:00:14.0-usb-0:"


@pytest.fixture
def tree(tmp_path: Path) -> SysTree:
    return SysTree(tmp_path)


def eg25(tree: SysTree, place: str = "1-1.2", *, first: int = 0) -> None:
    """An EG25-G: diagnostics, NMEA, AT, modem (Linux, drivers/usb/serial/option.c: 2c7c:0125)."""
    tree.usb_device(place, "2c7c:0125", "EG25-G")
    for interface in range(4):
        tree.port(place, interface, f"ttyUSB{first + interface}")


def opener(tree: SysTree, *, forced: ModuleProfile | None = None) -> DiscoveringOpener:
    settings = SerialSettings(Path("auto"), lock_folder=tree.root)
    return DiscoveringOpener(settings, SHIPPED, forced=forced, root=tree.root)


def usb_tty(usb_id: str, interface: int, *, place: str = "1-1", name: str = "") -> Tty:
    return Tty(Path("/dev") / (name or f"ttyUSB{interface}"), usb_id=usb_id, interface=interface, place=place)


# -- reading sysfs -----------------------------------------------------------------------------------------------------
def test_a_port_of_a_usb_modem_is_described_by_its_device_interface_driver_and_links(tree: SysTree) -> None:
    eg25(tree)
    ports = read_ttys(tree.root)
    assert [port.path.name for port in ports] == ["ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyUSB3"]
    assert ports[3] == Tty(
        tree.root / "dev/ttyUSB3",
        (tree.root / f"{BY_PATH}1.2:1.3-port0", tree.root / "dev/serial/by-id/usb-Modem-if03-port0"),
        "option1",
        "2c7c:0125",
        3,
        "1-1.2",
        "EG25-G",
    )
    assert read_usb_devices(tree.root) == (UsbDevice("1-1.2", "2c7c:0125"),)


def test_a_port_without_usb_serial_driver_is_described_too(tree: SysTree) -> None:
    tree.usb_device("1-1", "1e2d:005b")
    tree.acm_port("1-1", 0, "ttyACM0")
    (port,) = read_ttys(tree.root)
    assert (port.usb_id, port.interface, port.place, port.driver) == ("1e2d:005b", 0, "1-1", None)
    assert port.stable == tree.root / "dev/ttyACM0"  # udev made no links


def test_consoles_and_uarts_that_are_not_there_are_no_ports(tree: SysTree) -> None:
    tree.console("tty0")
    tree.uart("ttyS0", kind="0")
    tree.uart("ttyS1", kind="4")
    (port,) = read_ttys(tree.root)
    assert (port.path.name, port.usb_id, port.interface) == ("ttyS1", None, None)


def test_interface_numbers_are_hexadecimal(tree: SysTree) -> None:
    tree.usb_device("1-1", "2c7c:0125")
    tree.port("1-1", 0x0B, "ttyUSB0")
    assert read_ttys(tree.root)[0].interface == 11


def test_a_system_without_sysfs_has_no_ports(tmp_path: Path) -> None:
    assert read_ttys(tmp_path) == ()
    assert read_usb_devices(tmp_path) == ()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"zz", b"2C7C\n" * 100])
def test_attributes_that_make_no_sense_are_left_out(tree: SysTree, content: bytes) -> None:
    folder = tree.usb_device("1-1", "2c7c:0125")
    tree.port("1-1", 2, "ttyUSB0")
    (folder / "idVendor").write_bytes(content)
    (folder / "1-1:1.2" / "bInterfaceNumber").write_bytes(content)
    (port,) = read_ttys(tree.root)
    assert port.usb_id is None


def test_this_machine_can_be_read() -> None:
    assert all(port.path.name for port in read_ttys())
    assert all(len(device.usb_id) == 9 for device in read_usb_devices())


# -- matching ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("usb_id", "interfaces", "expected"),
    [
        # ModemManager's port type rules, by maker
        ("2c7c:0125", [0, 1, 2, 3], [3, 2]),
        ("2c7c:0296", [0, 1, 2, 3], [3, 2]),
        ("2c7c:0800", [0, 1, 2, 3], [3, 2]),
        ("2c7c:0128", [3, 4, 5], [5]),
        ("2c7c:6007", [0, 1, 2, 3], [3, 2]),
        ("1e0e:9001", [0, 1, 2, 3, 4], [3, 2]),
        ("1e0e:9205", [0, 1, 2, 3, 5], [2]),
        ("1e0e:9011", [2, 4, 5], [4]),
        ("1bc7:1201", [0, 3, 4, 5], [5, 4]),
        ("1bc7:110a", [0, 1, 2], [2, 1]),
        ("1bc7:7010", [3, 4], [3, 4]),
        ("1199:9071", [0, 2, 3], [3]),
        ("2cb7:0007", [0, 2, 4, 6], [6, 2]),
        ("1e2d:0069", [0, 2, 4], [2, 0]),
        ("413c:81d7", [2, 3, 4, 5], [3, 2]),
        ("0489:e0b5", [2, 3, 4, 5], [3, 2]),
    ],
)
def test_the_second_at_port_comes_first_and_no_other_port_is_ever_taken(
    usb_id: str, interfaces: list[int], expected: list[int]
) -> None:
    (modem,) = match([usb_tty(usb_id, number) for number in interfaces], SHIPPED)
    assert [port.interface for port in modem.ports] == expected
    assert modem.complete


def test_no_usb_id_is_described_twice_in_the_shipped_profiles() -> None:
    ids = [usb_id for entry in SHIPPED for ports in entry.usb_ports for usb_id in ports.ids]
    assert len(ids) == len(set(ids))
    assert len(ids) > 40


def test_a_pcie_modem_is_found_by_the_at_ports_that_the_kernel_names(tree: SysTree) -> None:
    for name, kind in (("wwan0at0", "AT"), ("wwan0qmi0", "QMI"), ("wwan0at1", "AT")):
        tree.wwan_port(name, kind)
    tree.uart("ttyS1")
    port = opener(tree)
    names = []
    for _ in range(3):
        names.append(port.find(0.0).name)
        port.note_silence()
    assert names == ["wwan0at1", "wwan0at0", "wwan0at1"]


def test_two_pcie_modems_are_not_guessed_between(tree: SysTree) -> None:
    tree.wwan_port("wwan0at0")
    tree.wwan_port("wwan1at0", below="pci0000:00/0000:02:00.0/mhi1/wwan")
    with pytest.raises(SeveralModems, match=r"wwan0at0 \(.*, PCIe\); .*wwan1at0"):
        opener(tree).find(0.0)


def test_a_known_modem_on_the_usb_goes_before_a_pcie_modem(tree: SysTree) -> None:
    eg25(tree)
    tree.wwan_port("wwan0at0")
    assert opener(tree).find(0.0).resolve().name == "ttyUSB3"


def test_a_wwan_port_of_a_usb_modem_is_found_by_its_serial_ports_only(tree: SysTree) -> None:
    eg25(tree)
    tree.wwan_port("wwan0at0", below="pci0000:00/0000:00:14.0/usb1/1-1.2/wwan")
    assert [port.path.name for port in read_ttys(tree.root)] == ["ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyUSB3"]


def test_ports_of_a_module_of_which_nobody_knows_the_at_port_are_all_asked_in_turn(tree: SysTree) -> None:
    tree.usb_device("1-1", "0e8d:7127")  # FM350
    for interface in (6, 2, 4):
        tree.port("1-1", interface, f"ttyUSB{interface}")
    port = opener(tree)
    names = []
    for _ in range(4):
        names.append(port.find(0.0).resolve().name)
        port.note_silence()
    assert names == ["ttyUSB2", "ttyUSB4", "ttyUSB6", "ttyUSB2"]


def test_a_modem_whose_ports_are_not_at_ports_is_none() -> None:
    assert match([usb_tty("2c7c:0125", 0), usb_tty("2c7c:0125", 1)], SHIPPED) == ()


def test_adapters_and_uarts_are_no_modems() -> None:
    assert match([usb_tty("1a86:7523", 0), Tty(Path("/dev/ttyS1"), driver="serial8250")], SHIPPED) == ()


def test_ports_of_two_modems_of_one_kind_are_not_mixed() -> None:
    ttys = [usb_tty("2c7c:0125", number, place=place) for place in ("1-1", "1-2") for number in (2, 3)]
    assert [(modem.place, [port.interface for port in modem.ports]) for modem in match(ttys, SHIPPED)] == [
        ("1-1", [3, 2]),
        ("1-2", [3, 2]),
    ]


@given(
    st.lists(
        st.builds(
            Tty,
            st.just(Path("/dev/x")),
            usb_id=st.sampled_from([None, "2c7c:0125", "1e0e:9001", "1a86:7523"]),
            interface=st.none() | st.integers(0, 6),
            place=st.sampled_from(["1-1", "1-2"]),
        )
    )
)
def test_whatever_is_plugged_in_one_port_is_chosen_or_the_error_says_why(ttys: list[Tty]) -> None:
    known = match(ttys, SHIPPED)
    if len(known) == 1:
        modem = choose(ttys, SHIPPED)
        assert modem.port.interface in (2, 3)
        assert modem.port.usb_id in ("2c7c:0125", "1e0e:9001")
    else:
        with pytest.raises(SeveralModems if known else ModemNotFound) as caught:
            choose(ttys, SHIPPED)
        assert caught.value.message
        assert "modem.port" in caught.value.hint


# -- what people are told ----------------------------------------------------------------------------------------------
def test_two_modems_are_listed_with_the_names_to_configure(tree: SysTree) -> None:
    eg25(tree, "1-1")
    eg25(tree, "1-2", first=4)
    with pytest.raises(SeveralModems) as caught:
        opener(tree).find(0.0)
    assert caught.value.remedy is Remedy.ASK_PERSON
    assert f"{BY_PATH}1:1.3-port0 (EG25-G, USB 1-1)" in caught.value.message
    assert f"{BY_PATH}2:1.3-port0 (EG25-G, USB 1-2)" in caught.value.message
    assert isinstance(caught.value, PortUnavailable)  # the daemon keeps trying


def test_without_a_modem_the_ports_that_were_looked_at_are_named(tree: SysTree) -> None:
    tree.uart("ttyS1")
    tree.usb_device("1-1", "1a86:7523")
    tree.port("1-1", 0, "ttyUSB0")
    with pytest.raises(ModemNotFound, match=r"ttyS1 \(no USB\), ttyUSB0 \(USB 1a86:7523, interface 0\)") as caught:
        opener(tree).find(0.0)
    assert caught.value.remedy is Remedy.RETRY


def test_without_any_port_that_is_said(tree: SysTree) -> None:
    with pytest.raises(ModemNotFound, match="there are no serial ports"):
        opener(tree).find(0.0)


def test_a_known_modem_without_its_driver_is_told_apart_from_no_modem(tree: SysTree) -> None:
    tree.usb_device("1-1", "2c7c:0125")
    with pytest.raises(ModemNotFound, match=r"2c7c:0125 at USB 1-1 is there, but its AT port is not"):
        opener(tree).find(0.0)


def test_many_ports_make_no_endless_sentence() -> None:
    with pytest.raises(ModemNotFound) as caught:
        choose([Tty(Path(f"/dev/ttyS{number}")) for number in range(200)], SHIPPED)
    assert len(caught.value.message) < 400


# -- opening, again and again ------------------------------------------------------------------------------------------
def test_the_port_is_opened_by_its_stable_name_and_said_once(tree: SysTree, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ipad_agent")
    eg25(tree)
    port = opener(tree)
    assert port.find(0.0) == port.find(1.0) == tree.root / f"{BY_PATH}1.2:1.3-port0"
    (said,) = caplog.records
    assert "Found EG25-G (USB 2c7c:0125)" in said.getMessage()


def test_new_numbers_after_a_restart_of_the_modem_do_not_matter(tree: SysTree) -> None:
    eg25(tree)
    port = opener(tree)
    before = port.find(0.0)
    assert before.resolve().name == "ttyUSB3"
    for number in range(4):
        tree.unplug(f"ttyUSB{number}")
    with pytest.raises(ModemNotFound):
        port.find(10.0)
    for interface in range(4):
        _replug(tree, interface)
    assert port.find(20.0) == before
    assert before.resolve().name == "ttyUSB7"


def _replug(tree: SysTree, interface: int) -> None:
    """The same interface with another number."""
    name = f"ttyUSB{interface + 4}"
    at = tree.root / f"sys/devices/pci0000:00/0000:00:14.0/usb1/1-1.2/1-1.2:1.{interface}"
    (at / name / "tty" / name).mkdir(parents=True)
    (at / name / "tty" / name / "device").symlink_to("../..")
    (tree.root / "sys/class/tty" / name).symlink_to(
        os.path.relpath(at / name / "tty" / name, tree.root / "sys/class/tty")
    )
    (tree.root / "dev" / name).touch()
    tree.link(f"by-path/pci-0000:00:14.0-usb-0:1.2:1.{interface}-port0", name)


def test_the_first_at_port_is_not_taken_just_because_it_appears_first(tree: SysTree) -> None:
    tree.usb_device("1-1", "2c7c:0125")
    tree.port("1-1", 2, "ttyUSB2")
    port = opener(tree)
    with pytest.raises(ModemNotFound, match="waiting for its other AT port"):
        port.find(0.0)
    tree.port("1-1", 3, "ttyUSB3")
    assert port.find(0.5).resolve().name == "ttyUSB3"


def test_the_first_at_port_is_taken_when_the_second_never_comes(tree: SysTree) -> None:
    tree.usb_device("1-1", "2c7c:0125")
    tree.port("1-1", 2, "ttyUSB2")
    port = opener(tree)
    with pytest.raises(ModemNotFound):
        port.find(0.0)
    assert port.find(2.0).resolve().name == "ttyUSB2"


def test_another_modem_is_not_taken_while_the_known_one_may_be_restarting(tree: SysTree) -> None:
    eg25(tree, "1-1")
    port = opener(tree)
    port.find(0.0)
    for number in range(4):
        tree.unplug(f"ttyUSB{number}")
    eg25(tree, "1-2", first=4)
    with pytest.raises(ModemNotFound, match="modem at USB 1-1 is away"):
        port.find(1000.0)
    with pytest.raises(ModemNotFound):
        port.find(1000.0 + RESTART_S - 1)
    assert port.find(1000.0 + RESTART_S).resolve().name == "ttyUSB7"  # somebody moved it


def test_the_link_of_the_udev_rule_decides_also_among_several_modems(tree: SysTree) -> None:
    eg25(tree, "1-1")
    eg25(tree, "1-2", first=4)
    link = tree.operator_link("ttyUSB7")
    port = opener(tree)
    assert port.find(0.0) == link
    link.unlink()
    for number in range(4, 8):
        tree.unplug(f"ttyUSB{number}")
    with pytest.raises(ModemNotFound, match="ipad-agent-modem is gone"):
        port.find(1e6)  # and the other modem is never taken for it


def test_a_forced_profile_narrows_the_search(tree: SysTree) -> None:
    eg25(tree, "1-1")
    tree.usb_device("1-2", "1e0e:9001")
    tree.port("1-2", 3, "ttyUSB9")
    forced = {entry.name: entry for entry in SHIPPED}
    assert opener(tree, forced=forced["simcom-sim7600"]).find(0.0).resolve().name == "ttyUSB9"
    with pytest.raises(SeveralModems):
        opener(tree, forced=forced["generic-3gpp"]).find(0.0)  # it names no ids


def test_after_silence_the_other_at_port_is_tried_and_then_the_first_choice_again(tree: SysTree) -> None:
    eg25(tree)
    port = opener(tree)
    names = []
    for _ in range(3):
        names.append(port.find(0.0).resolve().name)
        port.note_silence()
    assert names == ["ttyUSB3", "ttyUSB2", "ttyUSB3"]


async def test_an_other_at_port_in_foreign_hands_leads_back_to_the_preferred_one(tree: SysTree) -> None:
    eg25(tree)
    port = opener(tree)
    port.note_silence()
    with pytest.raises(PortUnavailable):
        await port.open()  # ttyUSB2 is no terminal here
    assert port.find(0.0).resolve().name == "ttyUSB3"


async def test_what_was_found_is_really_opened(tree: SysTree) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    tree.usb_device("1-1", "2c7c:0125")
    tree.port("1-1", 3, "ttyUSB3", target=os.ttyname(slave))
    try:
        stream = await opener(tree).open()
        await stream.write(b"AT\r")
        assert os.read(master, 10) == b"AT\r"
        assert stream.description.endswith("1:1.3-port0")
        await stream.close()
    finally:
        os.close(slave)
        os.close(master)


# -- the data ----------------------------------------------------------------------------------------------------------
def parse(text: str) -> ModuleProfile:
    return module_profile_files.parse(text, name="m", place="m.toml")


def test_a_file_of_ports_alone_fits_no_module() -> None:
    entry = parse(
        '[[usb]]\nids = ["2c7c:0296"]\nat_interface = 2\n[evidence]\n"usb" = { grade = "guess", source = "x" }\n'
    )
    assert entry.usb_ports == (UsbPorts(ids=("2c7c:0296",), at_interface=2),)
    assert entry.matches("Quectel", "BG96", "1") == 0


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ('usb = "2c7c:0125"', "m.toml: usb"),
        ("[[usb]]\nat_interface = 2", "m.toml: usb[1].ids"),
        ('[[usb]]\nids = ["2c7c:0125"]', "m.toml: usb[1].at_interface"),
        ('[[usb]]\nids = ["2C7C:0125"]\nat_interface = 2', "m.toml: usb[1].ids"),
        ("[[usb]]\nids = []\nat_interface = 2", "m.toml: usb[1].ids"),
        ('[[usb]]\nids = ["2c7c:0125"]\nat_interface = 32', "m.toml: usb[1].at_interface"),
        (
            '[[usb]]\nids = ["2c7c:0125"]\nat_interface = 2\nsecond_at_interface = 2',
            "m.toml: usb[1].second_at_interface",
        ),
        ('[[usb]]\nids = ["2c7c:0125", "2c7c:0125"]\nat_interface = 2', "m.toml: usb[1].ids"),
        (
            '[[usb]]\nids = ["2c7c:0125"]\nat_interface = 2\n[[usb]]\nids = ["2c7c:0125"]\nat_interface = 3',
            "m.toml: usb[2].ids",
        ),
        ('[[usb]]\nids = ["2c7c:0125"]\nat_interface = 2', "m.toml: usb.2c7c:0125"),
        ('[[usb]]\nids = ["2c7c:0125"]\nport = 2', "m.toml: usb[1].port"),
    ],
)
def test_a_mistake_in_the_table_of_ports_is_named(tables: str, place: str) -> None:
    with pytest.raises(ProfileError) as caught:
        parse(tables + "\n")
    assert caught.value.place == place
