"""Packages and knocks are awaited where only this machine or a tunnel's other end can come from."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from ipad_agent.site.interface_addresses import Owned
from ipad_agent.site.tunnel_interfaces import is_tunnel, why_not_closed

NAMES = {1: "wg0", 2: "tun0", 3: "wwan0", 4: "eth0"}
ADDRESSES = tuple(Owned(number, ipaddress.ip_address(f"10.0.{number}.1")) for number in NAMES)


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    for name, uevent in (
        ("wg0", "DEVTYPE=wireguard\nINTERFACE=wg0\nIFINDEX=1\n"),
        ("tun0", "INTERFACE=tun0\nIFINDEX=2\n"),
        ("wwan0", "DEVTYPE=wwan\nINTERFACE=wwan0\nIFINDEX=3\n"),
        ("eth0", "INTERFACE=eth0\nIFINDEX=4\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "uevent").write_text(uevent)
        (tmp_path / name / "type").write_text("65534\n" if name != "eth0" else "1\n")
    (tmp_path / "tun0" / "tun_flags").write_text("0x1001\n")
    return tmp_path


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("10.0.1.1", None),
        ("10.0.2.1", None),
        ("10.0.3.1", "10.0.3.1 belongs to wwan0, which is no tunnel"),
        ("10.0.4.1", "10.0.4.1 belongs to eth0, which is no tunnel"),
        ("10.9.9.9", "10.9.9.9 is no address of this device now"),
        ("0.0.0.0", "0.0.0.0 is every address of this device"),
        ("::", ":: is every address of this device"),
    ],
)
def test_only_loopback_and_tunnels_are_closed(sysfs: Path, host: str, why: str | None) -> None:
    found = why_not_closed(host, sysfs=sysfs, addresses=lambda: ADDRESSES, name_of=NAMES.__getitem__)
    assert found == why


def test_an_interface_that_went_away_meanwhile_is_no_way_in(sysfs: Path) -> None:
    def gone(number: int) -> str:
        raise OSError

    assert why_not_closed("10.0.1.1", sysfs=sysfs, addresses=lambda: ADDRESSES, name_of=gone) is not None
    assert why_not_closed("10.0.1.1", sysfs=sysfs, addresses=lambda: None, name_of=gone) is not None
    assert not is_tunnel("nothing", sysfs=sysfs)
