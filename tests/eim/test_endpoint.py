"""Where an eIM is and by what it is recognised, from its entry in the eUICC and the configuration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.es10.eim_configuration import EimProtocol
from ipad_agent.eim.eim_endpoint import EndpointOverrides, ProtocolBits, endpoint_for
from ipad_agent.eim.errors import CarrierExcluded, EndpointUnknown, TrustUnknown
from ipad_agent.errors import ConfigError
from ipad_agent.net import NameCheck, Pinned, Psk, Trust, TrustUnusable, split_address

COAPS = frozenset({EimProtocol.RETRIEVE_COAPS})


@dataclass(frozen=True)
class KeyData:
    kind: str
    der: bytes


def new_spki() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


SPKI = new_spki()


@dataclass(frozen=True)
class Entry:
    eim_id: str = "1.3.6.1.4.1.99999.1"
    fqdn: str | None = "eim.example.org"
    id_type: int | None = 1
    trusted_tls: KeyData | None = KeyData("spki", SPKI)
    supported_protocol: Collection[EimProtocol] | None = COAPS


def test_entry_of_the_euicc_is_enough() -> None:
    endpoint = endpoint_for(Entry())
    assert (endpoint.host, endpoint.port, endpoint.path) == ("eim.example.org", 5684, "gsma/rsp2/asn1")
    assert (endpoint.trust, endpoint.association) == (
        Trust.from_public_key_data(KeyData("spki", SPKI)),
        "1.3.6.1.4.1.99999.1",
    )
    assert (endpoint.content_format, endpoint.psk, endpoint.verify_name) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eim.example.org", ("eim.example.org", None)),
        ("EIM.example.org:5685", ("eim.example.org", 5685)),
        ("eim.example.org.", ("eim.example.org.", None)),
        ("localhost", ("localhost", None)),
        ("bücher.example", ("xn--bcher-kva.example", None)),
        ("192.0.2.1:1234", ("192.0.2.1", 1234)),
        ("[2001:db8::1]:5684", ("2001:db8::1", 5684)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("2001:0db8::1", ("2001:db8::1", None)),
    ],
)
def test_address_is_read_in_all_its_forms(text: str, expected: tuple[str, int | None]) -> None:
    assert split_address(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":5684", "host:", "host:0", "host:65536", "host:a", "a b", "[host]:1", "[::1", "-a.b", "a..b", "x" * 64],
)
def test_address_that_is_none_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_address(text)


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        host, port = split_address(text)
    except ValueError:
        return
    assert host.isascii()
    assert port is None or 0 < port < 65536


def test_eim_id_is_the_host_when_it_is_marked_as_name() -> None:
    assert endpoint_for(Entry(eim_id="eim2.example.org:7000", fqdn=None, id_type=2)).host == "eim2.example.org"
    assert endpoint_for(Entry(eim_id="eim2.example.org:7000", fqdn=None, id_type=2)).port == 7000


@pytest.mark.parametrize("id_type", [None, 1, 3, 99])
def test_eim_without_an_address_says_what_to_configure(id_type: int | None) -> None:
    entry = Entry(eim_id="eim.example.org", fqdn=None, id_type=id_type)
    with pytest.raises(EndpointUnknown, match="set host"):
        endpoint_for(entry)
    assert endpoint_for(entry, EndpointOverrides(host="192.0.2.9")).host == "192.0.2.9"


def test_address_that_cannot_be_read_names_its_place() -> None:
    with pytest.raises(EndpointUnknown, match="eimFqdn"):
        endpoint_for(Entry(fqdn="not a host"))
    with pytest.raises(EndpointUnknown, match="host of eIM"):
        endpoint_for(Entry(), EndpointOverrides(host="not a host"))


def test_address_written_as_url_is_read() -> None:
    endpoint = endpoint_for(Entry(fqdn="coaps://eim.example.org:5690/gsma"))
    assert (endpoint.host, endpoint.port) == ("eim.example.org", 5690)


def test_configuration_goes_before_the_euicc() -> None:
    overrides = EndpointOverrides(
        host="other.example.org",
        port=6000,
        path="esipa",
        content_format=42,
        block_size_exp=4,
        ack_timeout_s=9.0,
        verify_name="eim.example.org",
        name_check=NameCheck.ALWAYS,
        allow_expired=True,
        max_retransmit=0,
    )
    endpoint = endpoint_for(Entry(), overrides)
    assert (endpoint.host, endpoint.port, endpoint.path) == ("other.example.org", 6000, "esipa")
    assert (endpoint.content_format, endpoint.block_size_exp, endpoint.ack_timeout_s) == (42, 4, 9.0)
    assert (endpoint.verify_name, endpoint.max_retransmit) == ("eim.example.org", 0)
    assert (endpoint.trust.name_check, endpoint.trust.allow_expired) == (NameCheck.ALWAYS, True)
    assert endpoint.trust.anchors == (SPKI,)


def test_value_out_of_range_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="block_size_exp"):
        endpoint_for(Entry(), EndpointOverrides(block_size_exp=9))


# -- trust -----------------------------------------------------------------------------------------------------------


def test_store_is_used_only_when_the_euicc_names_no_key() -> None:
    store = Trust.spki(new_spki())
    assert endpoint_for(Entry(), default_trust=store).trust.anchors == (SPKI,)
    assert endpoint_for(Entry(trusted_tls=None), default_trust=store).trust == store


def test_eim_without_any_trust_is_never_spoken_to() -> None:
    with pytest.raises(TrustUnknown, match="trust"):
        endpoint_for(Entry(trusted_tls=None))


def test_key_of_the_euicc_that_cannot_be_read_does_not_fall_back_to_the_store() -> None:
    entry = Entry(trusted_tls=KeyData("spki", b"\x30\x00"))
    with pytest.raises(TrustUnusable):
        endpoint_for(entry, default_trust=Trust.spki(new_spki()))


def test_configured_trust_and_psk_go_before_the_euicc() -> None:
    configured = Trust.spki(new_spki())
    assert endpoint_for(Entry(), EndpointOverrides(trust=configured)).trust == configured
    psk = Psk(b"device", b"0123456789abcdef")
    endpoint = endpoint_for(Entry(), EndpointOverrides(psk=psk))
    assert (endpoint.psk, endpoint.trust.kind) == (psk, Pinned.PSK)
    assert "0123" not in repr(EndpointOverrides(psk=psk))


# -- protocol bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [None, frozenset()])
def test_absent_bits_do_not_keep_us_from_trying(bits: frozenset[EimProtocol] | None) -> None:
    assert endpoint_for(Entry(supported_protocol=bits))
    with pytest.raises(CarrierExcluded):
        endpoint_for(Entry(supported_protocol=bits), EndpointOverrides(protocol_bits=ProtocolBits.STRICT))


def test_bits_without_coaps_exclude_it_unless_the_configuration_insists() -> None:
    entry = Entry(supported_protocol=frozenset({EimProtocol.RETRIEVE_HTTPS}))
    with pytest.raises(CarrierExcluded, match="RETRIEVE_HTTPS"):
        endpoint_for(entry)
    assert endpoint_for(entry, EndpointOverrides(protocol_bits=ProtocolBits.IGNORED))
