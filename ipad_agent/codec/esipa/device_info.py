"""What the IPA says about itself and the device: capabilities, deviceInfo, ctxParams1 (SGP.32 v1.2 IpaCapabilities,
SGP.22 v2.5 §4.2 DeviceInfo and CtxParams1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.identifiers import Imei
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field


class IpaFeature(IntEnum):
    """Bit numbers of ipaFeatures. CTX_PARAMS1 means that the *eIM* makes ctxParams1, METADATA that it checks PPRs."""

    DIRECT_RSP_SERVER_COMMUNICATION = 0
    INDIRECT_RSP_SERVER_COMMUNICATION = 1
    EIM_DOWNLOAD_DATA_HANDLING = 2
    EIM_CTX_PARAMS1_GENERATION = 3
    EIM_PROFILE_METADATA_VERIFICATION = 4
    MINIMIZE_ESIPA_BYTES = 5


class IpaProtocol(IntEnum):
    """Bit numbers of ipaSupportedProtocols."""

    RETRIEVE_HTTPS = 0
    RETRIEVE_COAPS = 1
    INJECT_HTTPS = 2
    INJECT_COAPS = 3
    PROPRIETARY = 4


@dataclass(frozen=True, slots=True)
class IpaCapabilities:
    """What this IPA can do; ``protocols`` None leaves the field out."""

    features: frozenset[IpaFeature]
    protocols: frozenset[IpaProtocol] | None = None

    def encode(self, tag: int = 0xA8) -> bytes:
        """``{ 80, 81? }`` under the tag it has in IpaEuiccData."""
        protocols = b"" if self.protocols is None else tlv.encode_bits(0x81, {int(bit) for bit in self.protocols})
        return tlv.encode(tag, tlv.encode_bits(0x80, {int(bit) for bit in self.features}), protocols)


class Release(IntEnum):
    """Fields of DeviceCapabilities that hold a release; the value is the context tag number."""

    GSM = 0
    UTRAN = 1
    CDMA2000_ONEX = 2
    CDMA2000_HRPD = 3
    CDMA2000_EHRPD = 4
    EUTRAN_EPC = 5
    CONTACTLESS = 6
    RSP_CRL = 7
    NR_EPC = 8
    NR_5GC = 9
    EUTRAN_5GC = 10
    LPA_SVN = 11


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """TAC, supported releases and perhaps the IMEI, whose first 4 bytes are then the TAC.

    A release is ``Version(15, 0, 0)`` for 3GPP Release 15. An empty mapping is legal and what a device sends that does
    not know its radio.
    """

    tac: bytes
    releases: Mapping[Release, Version] = field(default_factory=dict)
    imei: Imei | None = None

    def __post_init__(self) -> None:
        if len(self.tac) != 4:
            raise CodecError(f"a TAC of {len(self.tac)} bytes instead of 4")
        if self.imei is not None and self.imei.tac != self.tac:
            raise CodecError("the TAC and the IMEI do not belong together")

    @classmethod
    def of(cls, imei: Imei, releases: Mapping[Release, Version] | None = None, *, with_imei: bool = True) -> DeviceInfo:
        """From the modem's IMEI; ``with_imei`` False tells the type only."""
        return cls(imei.tac, dict(releases or {}), imei if with_imei else None)

    def encode(self, tag: int = 0xA9) -> bytes:
        """``{ 80 tac, A1 deviceCapabilities, 82 imei? }`` under A9 (IpaEuiccData) or A1 (ctxParams1)."""
        releases = (
            tlv.encode(0x80 | release, bytes((version.major, version.minor, version.revision)))
            for release, version in sorted(self.releases.items())
        )
        imei = b"" if self.imei is None else tlv.encode(0x82, self.imei.tbcd)
        return tlv.encode(tag, tlv.encode(0x80, self.tac), tlv.encode(0xA1, *releases), imei)


def encode_ctx_params1(device_info: DeviceInfo, *, matching_id: str | None) -> bytes:
    """``A0 { 80?, A1 }``: what the eUICC signs about the download. An empty matching ID is sent as ``80 00``."""
    matching = b"" if matching_id is None else tlv.encode(0x80, matching_id.encode())
    return tlv.encode(0xA0, matching, device_info.encode(0xA1))
