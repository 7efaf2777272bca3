"""Messages of rtnetlink written by hand after rtnetlink(7) and linux/if_addr.h, for a little-endian machine."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.site import interface_addresses
from ipad_agent.site.interface_addresses import Owned

# ifaddrmsg {AF_INET, /30, flags 80 (permanent), scope universe, interface 5}, IFA_ADDRESS = the other side 10.0.0.2,
# IFA_LOCAL = 10.0.0.1, IFA_LABEL "wwan0"
POINT_TO_POINT = bytes.fromhex("021e8000 05000000 08000100 0a000002 08000200 0a000001 0a000300 7777616e3000 0000")
# ifaddrmsg {AF_INET6, /64, flags 80, scope universe, interface 5}, IFA_ADDRESS = 2001:db8::7
SIX = bytes.fromhex("0a408000 05000000 14000100 20010db8000000000000000000000007")


def test_on_a_point_to_point_link_this_side_counts() -> None:
    assert interface_addresses.read_address(POINT_TO_POINT, "<") == Owned(5, ipaddress.ip_address("10.0.0.1"))
    assert interface_addresses.read_address(SIX, "<") == Owned(5, ipaddress.ip_address("2001:db8::7"))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "02080000 01000000",  # no address in it
        "02080000 01000000 08000100 7f000001",  # 127.0.0.1
        "02100000 05000000 08000200 a9fe0102",  # 169.254.1.2
        "02100000 05000000 08000200 00000000",
        "0a400000 05000000 14000100 fe800000000000000000000000000001",
        "0a404000 05000000 14000100 20010db8000000000000000000000007",  # tentative
        "0a400800 05000000 14000100 20010db8000000000000000000000007",  # somebody else has it
        "02180000 05000000 07000100 0a0000",  # three bytes
        "02180000 05000000 08000100 0a00",  # cut off
        "02180000 05000000 00000100 0a000001",
    ],
)
def test_addresses_that_lead_nowhere_are_left_out(body: str) -> None:
    assert interface_addresses.read_address(bytes.fromhex(body), "<") is None


def test_messages_are_separated_and_a_damaged_one_ends_it() -> None:
    done = bytes.fromhex("14000000 0300 0200 01000000 00000000 00000000")
    odd = bytes.fromhex("13000000 1400 0200 01000000 00000000 aabbcc 00")
    assert list(interface_addresses.messages(odd + done, "<")) == [(20, bytes.fromhex("aabbcc")), (3, bytes(4))]
    assert list(interface_addresses.messages(odd + bytes.fromhex("ff000000") + done[4:], "<")) == [
        (20, bytes.fromhex("aabbcc"))
    ]
    assert list(interface_addresses.messages(bytes(16), "<")) == []


@given(st.binary(max_size=120))
def test_any_bytes_of_the_kernel_are_read_without_an_error(data: bytes) -> None:
    for _, body in interface_addresses.messages(data):
        interface_addresses.read_address(body)
    found = interface_addresses.read_address(data)
    assert found is None or interface_addresses.usable(found.address)


def test_this_machine_tells_its_addresses_and_never_loopback() -> None:
    found = interface_addresses.owned()
    assert found is not None
    assert all(interface_addresses.usable(one.address) and one.interface > 0 for one in found)


def test_the_way_to_this_machine_itself_begins_at_loopback() -> None:
    assert interface_addresses.source("127.0.0.1") == ipaddress.ip_address("127.0.0.1")
    assert interface_addresses.source("255.255.255.255") is None  # a socket has to ask for broadcast
    with pytest.raises(ValueError, match="does not appear to be"):
        interface_addresses.source("localhost")
