"""Records cut out of a stream and put into datagrams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.net.dtls.dtls_records import pack, split
from ipad_agent.net.errors import ProtocolViolation


def record(kind: int, size: int) -> bytes:
    return bytes([kind, 0xFE, 0xFD]) + bytes(8) + size.to_bytes(2, "big") + bytes(size)


RECORDS = st.lists(st.builds(record, st.sampled_from([20, 21, 22, 23]), st.integers(0, 400)), max_size=12)


@given(RECORDS)
def test_split_finds_the_records_again(records: list[bytes]) -> None:
    assert split(b"".join(records)) == records


@given(RECORDS, st.integers(64, 1500))
def test_packing_keeps_the_order_and_the_limit(records: list[bytes], mtu: int) -> None:
    datagrams = pack(records, mtu)
    assert b"".join(datagrams) == b"".join(records)
    for datagram in datagrams:
        assert len(datagram) <= mtu or len(split(datagram)) == 1


def test_handshake_records_share_a_datagram_and_application_data_does_not() -> None:
    hello, finished, data = record(22, 100), record(22, 50), record(23, 30)
    assert pack([hello, finished, data, data, hello], 1200) == [hello + finished, data, data, hello]


@pytest.mark.parametrize("cut", [1, 12, 13, 20])
def test_cut_off_records_are_refused(cut: int) -> None:
    with pytest.raises(ProtocolViolation):
        split(record(22, 30)[:cut])
