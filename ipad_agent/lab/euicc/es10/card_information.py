"""What the card tells of itself, and the one address that can be set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state.card_state import TEST
from ipad_agent.lab.euicc.state.isdr_state import code, parse
from ipad_agent.lab.euicc.state.policy_rules import encode_rules

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

SVN = bytes((2, 5, 0))
_PROFILE_VERSION = bytes((2, 3, 1))
_FIRMWARE = bytes((1, 0, 0))
_PP_VERSION = bytes((0, 0, 1))
_INVALID_CI_PK_ID = 1
_PARAMETERS_NOT_AVAILABLE = 1
_NOT_SUPPORTED = 1
# usim, isim, akaMilenage, tuak128, eap, javacard, multipleUsim, berTlvFile, dfLink, getIdentity
_UICC_CAPABILITY = (1, 2, 4, 6, 13, 14, 16, 19, 20, 22)
_ADDITIONAL_PROFILE, _TEST_PROFILE_SUPPORT = 0, 3


def get_eid(isdr: Isdr, raw: bytes) -> bytes:
    """GetEID (SGP.22 §5.7.20): BF3E { 5C 01 5A } -> BF3E { 5A }."""
    if parse(raw).get(0x5C).value != b"\x5a":
        raise StatusError(0x6A88)
    return der.tlv(0xBF3E, der.octets(isdr.identity.eid_bytes, 0x5A))


def get_euicc_info1(isdr: Isdr, raw: bytes) -> bytes:
    """GetEUICCInfo1 (SGP.32 §5.9.2)."""
    return der.tlv(0xBF20, der.octets(SVN, 0x82), *_ci_lists(isdr))


def get_euicc_info2(isdr: Isdr, raw: bytes) -> bytes:
    """GetEUICCInfo2 (SGP.32 §5.9.2); without ipaMode and iotSpecificInfo from a consumer card."""
    quirks = isdr.quirks
    iot = b"" if quirks.consumer else der.integer(int(isdr.ipae_active), 0x90) + _iot_specific_info(isdr)
    rsp = (_ADDITIONAL_PROFILE, _TEST_PROFILE_SUPPORT) if TEST in quirks.profile_classes else (_ADDITIONAL_PROFILE,)
    return der.tlv(
        0xBF22,
        der.octets(_PROFILE_VERSION, 0x81),
        der.octets(SVN, 0x82),
        der.octets(_FIRMWARE, 0x83),
        der.octets(ext_card_resource(isdr), 0x84),
        der.bits(_UICC_CAPABILITY, 0x85),
        der.octets(bytes((13, 1, 0)), 0x86),
        der.octets(bytes((2, 3, 0)), 0x87),
        der.bits(rsp, 0x88),
        *_ci_lists(isdr),
        der.bits(quirks.forbidden_ppr, 0x99) if quirks.forbidden_ppr else b"",
        der.octets(_PP_VERSION),
        der.utf8("IP-LAB-0001"),
        iot,
    )


def ext_card_resource(isdr: Isdr) -> bytes:
    """81 applications, 82 free non-volatile bytes, 83 free volatile bytes; the memory shrinks with each profile."""
    free = free_memory_bytes(isdr)
    return der.integer(0, 0x81) + der.octets(free.to_bytes(4, "big"), 0x82) + der.octets(bytes((0, 0, 0x20, 0)), 0x83)


def free_memory_bytes(isdr: Isdr) -> int:
    """Non-volatile memory that the installed profiles leave."""
    used = sum(p.size_bytes + len(p.icon) + len(p.service_data) for p in isdr.state.profiles)
    return max(0, isdr.state.free_memory_bytes - used)


def get_rat(isdr: Isdr, raw: bytes) -> bytes:
    """GetRAT (SGP.22 §5.7.22): BF43 { A0 { PPAR... } }."""
    return der.tlv(0xBF43, der.tlv(0xA0, encode_rules(isdr.quirks.rules)))


def get_certs(isdr: Isdr, raw: bytes) -> bytes:
    """GetCerts (SGP.32 §5.9.10); the tags A5 and A6 stand for the 30 of the certificates."""
    wanted = parse(raw).find(0x80)
    ci = isdr.identity.ci(wanted.value if wanted is not None else None)
    if ci is None:
        return code(0xBF56, _INVALID_CI_PK_ID, 0x81)
    if isdr.quirks.unreadable_certificates:
        return der.tlv(0xBF56, ci.eum_cert, ci.euicc_cert)
    eum, euicc = (_retagged(isdr, tag, c) for tag, c in ((0xA5, ci.eum_cert), (0xA6, ci.euicc_cert)))
    if isdr.quirks.certificates_apart:
        return der.tlv(0xBF56, der.tlv(0xA0, eum), der.tlv(0xA1, euicc))
    return der.tlv(0xBF56, der.tlv(0xA0, eum, euicc))


def get_connectivity_parameters(isdr: Isdr, raw: bytes) -> bytes:
    """GetConnectivityParameters (SGP.32 §5.9.24) of the enabled profile."""
    enabled = isdr.state.enabled
    if enabled is None or not enabled.http_params:
        return code(0xBF5F, _PARAMETERS_NOT_AVAILABLE, 0x81)
    return der.tlv(0xBF5F, der.tlv(0xA0, der.octets(enabled.http_params, 0x81)))


def get_configured_addresses(isdr: Isdr, raw: bytes) -> bytes:
    """GetEuiccConfiguredAddresses (SGP.22 §5.7.3)."""
    state = isdr.state
    default = der.utf8(state.default_smdp, 0x80) if state.default_smdp else b""
    return der.tlv(0xBF3C, default, der.utf8(state.root_smds, 0x81))


def set_default_dp_address_command(isdr: Isdr, raw: bytes) -> bytes:
    """SetDefaultDpAddress as a function: BF65 (SGP.32 §5.9.25), BF3F on a consumer card."""
    answer = set_default_dp_address(isdr, parse(raw))
    isdr.commit()
    return answer


def set_default_dp_address(isdr: Isdr, request: der.Node) -> bytes:
    """Set or, with an empty text, clear the default SM-DP+; uncommitted. The answer has the request's tag."""
    isdr.state.default_smdp = request.get(0x80).text()
    return code(request.tag, 0)


def ipae_activation(isdr: Isdr, raw: bytes) -> bytes:
    """IpaeActivation (SGP.32 §3.8): without the bit for activation the IPAe of a card that has one is off for good."""
    activate = 0 in parse(raw).get(0x80).bits()
    if not isdr.quirks.ipae or (not activate and not isdr.quirks.ipae_can_be_switched_off):
        return code(0xBF42, _NOT_SUPPORTED)
    isdr.ipae_switched_off = not activate
    return code(0xBF42, 0)


def _ci_lists(isdr: Isdr) -> tuple[bytes, bytes]:
    ids = [der.octets(ci.ci_pkid) for ci in isdr.identity.cis]
    return der.tlv(0xA9, *ids), der.tlv(0xAA, *ids)


def _iot_specific_info(isdr: Isdr) -> bytes:
    quirks = isdr.quirks
    versions = der.tlv(0xA0, *(der.octets(v) for v in quirks.iot_versions))
    ecall = der.null(0x81) if quirks.ecall_supported else b""
    fallback = der.null(0x82) if quirks.fallback_supported else b""
    return der.tlv(0xB4, versions, ecall, fallback)


def _retagged(isdr: Isdr, tag: int, certificate: bytes) -> bytes:
    if isdr.quirks.explicit_certificates:
        return der.tlv(tag, certificate)
    return bytes([tag]) + certificate[1:]
