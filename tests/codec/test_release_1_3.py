"""What came with SGP.32 v1.3 and SGP.22 v2.7, by the bytes that an independent compiler makes of the v1.3 module."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, code_names, tlv
from ipad_agent.codec.ber.describe_message import describe, render
from ipad_agent.codec.es10.eim_configuration import EimConfigurations
from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.codec.es10.profile_info import ProfileList, ProfileMetadata
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import ResultErrorCode
from ipad_agent.codec.identifiers import Eid

from .vectors import H

VECTORS = {
    "received, by transaction": (
        "TransferEimPackageResponse",
        "BF4E0BBF6008A00680040A0B0C0D",
        ["BF60 eimPackageReceivedWithCid", "A0 correlationId", "80 eimTransactionId 0A0B0C0D"],
    ),
    "received, by EID": (
        "TransferEimPackageResponse",
        "BF4E17BF6014A0125A1089049032123451234512345678901235",
        ["BF60 eimPackageReceivedWithCid", "5A eidValue 89049032123451234512345678901235"],
    ),
    "received, by nothing": ("TransferEimPackageResponse", "BF4E03BF6000", ["BF60 eimPackageReceivedWithCid"]),
    "refused, by transaction": (
        "TransferEimPackageResponse",
        "BF4E0EBF610BA00680040A0B0C0D810102",
        ["BF61 eimPackageErrorWithCid", "80 eimTransactionId 0A0B0C0D", "81 eimPackageError 2 unknownPackage"],
    ),
    "refused, by nothing": (
        "TransferEimPackageResponse",
        "BF4E06BF6103810101",
        ["81 eimPackageError 1 invalidPackageFormat"],
    ),
    "received as before": ("TransferEimPackageResponse", "BF4E020500", ["05 eimPackageReceived"]),
    "refused as before": (
        "TransferEimPackageResponse",
        "BF4E03020101",
        ["02 eimPackageError 1 invalidPackageFormat"],
    ),
    "unsigned error with everything": (
        "EuiccPackageResult",
        "BF511BA219800B65696D2E6578616D706C6582040A0B0C0D8401038F010F",
        ["A2 euiccPackageErrorUnsigned", "84 associationToken 3", "8F euiccPackageUnsignedErrorCode 15 sizeOverflow"],
    ),
    "unsigned error with a code": (
        "EuiccPackageResult",
        "BF5112A210800B65696D2E6578616D706C658F017F",
        ["8F euiccPackageUnsignedErrorCode 127 undefinedError"],
    ),
    "an operator's metadata": ("UpdateMetadataRequest", "BF2A049F6701FF", ["9F67 fallbackAllowed true"]),
    "no emergency profile to disable": (
        "DisableEmergencyProfileResponse",
        "BF5C03800108",
        ["80 disableEmergencyProfileResult 8 ecallNotAvailable"],
    ),
    "an expired order": (
        "AuthenticateClientResponseEsipa",
        "BF3B03820112",
        ["82 authenticateClientErrorEsipa 18 downloadOrderExpired"],
    ),
    "an expired order as before": (
        "GetBoundProfilePackageResponseEsipa",
        "BF3A03810106",
        ["81 getBoundProfilePackageErrorEsipa 6 downloadOrderExpired"],
    ),
}
"""Type, bytes and lines of the tree. The bytes are pycrate's, made of the v1.3 module."""


@pytest.mark.parametrize(("type_name", "data", "lines"), VECTORS.values(), ids=list(VECTORS))
def test_every_new_field_has_its_name(type_name: str, data: str, lines: list[str]) -> None:
    assert describe(H(data)).name == type_name
    shown = [line.strip() for line in render(H(data)).splitlines()]
    assert [line for line in lines if line not in shown] == []


@pytest.mark.parametrize(("type_name", "data", "lines"), VECTORS.values(), ids=list(VECTORS))
def test_the_schema_gives_the_bytes_back(type_name: str, data: str, lines: list[str]) -> None:
    del lines
    assert asn1_schema.encode(type_name, asn1_schema.decode(type_name, H(data))) == H(data)


@pytest.mark.parametrize(
    ("type_name", "data", "lines"),
    [
        (
            "IoTSpecificInfo",
            "3010A00A0403010300040301020082008300",
            ["82 fallbackSupported", "83 fallbackAllowedUpdateSupported"],
        ),
        (
            "IpaCapabilities",
            "3019 800205E0 81020780 A20F 300D 80060A2B06010401 A103 020107",
            ["A2 eSipaProprietaryProtocolInformation"],
        ),
        (
            "EimConfigurationData",
            "301C 800B65696D2E6578616D706C65 AA0D 300B 80042B060104 A103 020107",
            ["AA eSipaProprietaryProtocolInformation"],
        ),
        ("ProfileInfo", "E3 0F 5A0A98941000000000000032 BF6400", ["BF64 iotSpecificProfileInfo"]),
        (
            "StoreMetadataRequest",
            "BF25 19 5A0A98941000000000000032 910141 920142 9F6701FF BF6400",
            ["9F67 fallbackAllowed true", "BF64 iotSpecificMetadata"],
        ),
        ("ProfileInfoListRequest", "BF2D 07 5C015A 5D029F70", ["5D iotSpecificTagList 9F70"]),
        (
            "CompactOtherSignedNotification",
            "30 0E BF2F00 5F370401020304 0402AABB",
            ["04 euiccCiPKIdentifierToBeUsed AABB"],
        ),
    ],
)
def test_a_field_inside_another_has_its_name_too(type_name: str, data: str, lines: list[str]) -> None:
    shown = [line.strip() for line in render(H(data), type_name).splitlines()]
    assert [line for line in lines if line not in shown] == []


def test_an_injected_package_is_answered_with_its_correlation() -> None:
    transaction, eid = H("0A0B0C0D"), Eid.parse("89049032123451234512345678901235")
    received, refused = eim_package.encode_package_received_with_cid, eim_package.encode_transfer_error_with_cid
    assert received(transaction, eid) == H("BF4E0BBF6008A00680040A0B0C0D")
    assert received(None, eid) == H("BF4E17BF6014A0125A1089049032123451234512345678901235")
    assert received() == H("BF4E03BF6000")
    assert refused(ResultErrorCode.UNKNOWN_PACKAGE, transaction) == H("BF4E0EBF610BA00680040A0B0C0D810102")
    assert refused(ResultErrorCode.INVALID_PACKAGE_FORMAT) == H("BF4E06BF6103810101")


ENTRY = "800B65696D2E6578616D706C65 8103652E78"
AHEAD = "AA0D 300B 80042B060104 A103 020107"


@pytest.mark.parametrize("more", [AHEAD, "AB00", "AC020500", f"{AHEAD} AD03020101 AE00 AF00"])
def test_an_entry_of_a_card_keeps_the_fields_of_releases_to_come(more: str) -> None:
    entry = tlv.encode(0x30, H(ENTRY, more))
    (read,) = EimConfigurations.parse(tlv.encode(0xBF55, tlv.encode(0xA0, entry))).configs
    assert (read.raw, read.eim_id, read.fqdn) == (entry, "eim.example", "e.x")
    # counterValue is never given back by a card: it is not known, and not 0
    assert read.counter is None


@pytest.mark.parametrize("more", ["BF6400", "BF64 05 800102 9900", "9F6701FF BF6400"])
def test_a_profile_with_iot_specific_information_is_a_profile_like_any_other(more: str) -> None:
    element = tlv.encode(0xE3, H("5A0A98941000000000000032 9F700101", more))
    listed = ProfileList.parse(tlv.encode(0xBF2D, tlv.encode(0xA0, element)))
    assert [(profile.raw, profile.enabled) for profile in listed.profiles] == [(element, True)]


def test_metadata_with_iot_specific_information_is_read_and_kept() -> None:
    raw = H("BF25 19 5A0A98941000000000000032 910141 920142 9F6701FF BF6400")
    read = ProfileMetadata.parse(raw)
    assert (read.raw, read.fallback_allowed) == (raw, True)


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ("0403010300 0403010200", ("1.3.0", "1.2.0")),
        ("0403010400", ("1.4.0",)),
        ("0403020000", ("2.0.0",)),
    ],
)
def test_a_card_of_any_release_is_an_iot_card(versions: str, told: tuple[str, ...]) -> None:
    listed = tlv.encode(0xA0, H(versions))
    info = EuiccInfo2.parse(
        tlv.encode(0xBF22, H("8203020500 900100"), tlv.encode(0xB4, listed, H("82008300")), H("950102"))
    )
    assert info.iot is not None
    assert tuple(map(str, info.iot.versions)) == told
    assert info.iot.fallback


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (31, "installFailedDueToInsufficientMinimumSecurityLevel"),
        (32, "testProfileInstallFailedDueToServerNotAllowed"),
    ],
)
def test_the_reasons_of_sgp22_v2_7_for_a_failed_installation_have_names(reason: int, name: str) -> None:
    error = H("A1 06 800105 8101", f"{reason:02X}")
    assert f"81 errorReason {reason} {name}" in render(error, "ErrorResult")
    assert code_names.BPP_ERROR[reason] == name
