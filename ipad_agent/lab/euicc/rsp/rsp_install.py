"""The commands inside a bound profile package (ES8+, SGP.22 §5.5): what is decrypted is carried out here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import bpp_protection, der
from ipad_agent.lab.euicc.es10.card_information import free_memory_bytes
from ipad_agent.lab.euicc.state.profile_list import free_aid, tbcd
from ipad_agent.lab.pki import verify_raw

from . import installation_result
from .one_time_keys import private_key
from .package_segments import ALL_86, ALL_88, FIRST_87, PACKAGE, SECOND_87, Piece, Segments
from .rsp_metadata import objection, read_metadata

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.card_state import Installing, Profile
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

    from .session_steps import Authenticated, Prepared

INITIALISE, CONFIGURE_ISDP, STORE_METADATA, STORE_METADATA_2, REPLACE_KEYS, LOAD_ELEMENTS = range(6)
"""BppCommandId."""
COMMANDS = {
    PACKAGE: INITIALISE,
    FIRST_87: CONFIGURE_ISDP,
    ALL_88: STORE_METADATA,
    SECOND_87: REPLACE_KEYS,
    ALL_86: LOAD_ELEMENTS,
}
"""Which of them arrives in which part of the package."""
ISDP_BYTES = 2_000
"""What a profile takes besides its elements and its icon."""
_LENIENT_SEGMENT_BYTES = 0xFFFF
"""The largest that blocks of STORE DATA can carry, nearly."""
_INSTALL = 1
_KEY_TYPE, _KEY_LENGTH = b"\x88", b"\x10"
_HEADER_TAG, _END_TAG = 0xA0, 0xAA


class InstallError(Exception):
    """The installation ends with this ErrorReason, in the command that is under way unless another is named."""

    def __init__(self, reason: int, command: int | None = None) -> None:
        super().__init__(f"installation ends with {reason}")
        self.reason = reason
        self.command = command


class Installation:
    """One package on its way into the card; nothing of it is in the memory before its end."""

    def __init__(self, isdr: Isdr, known: Authenticated, prepared: Prepared, about: Installing) -> None:
        self._isdr = isdr
        self._known = known
        self._prepared = prepared
        self.about = about
        self.segments = Segments()
        self.done = 0
        """Segments that were carried out."""
        self._content = bytearray()
        self._package = bytearray()
        self._aid = b""
        self._dp_oid = ""
        self._profile: Profile | None = None
        self._opener: bpp_protection.Opener | None = None

    # --- BF23 ---

    def initialise(self, raw: bytes) -> None:
        """InitialiseSecureChannel (SGP.22 §5.5.1): who sends this, to whom, with which key."""
        isdr, prepared = self._isdr, self._prepared
        try:
            node = der.parse(raw, ber=True)
            operation, transaction, template = node.get(0x82), node.get(0x80), node.get(0xA6)
            point, signature = node.get(0x5F49), node.get(0x5F37)
            key_type, key_length, host_id = (template.find(tag) for tag in (0x80, 0x81, 0x84))
            signed = b"".join(child.raw for child in node.children if child.tag != 0x5F37)
            remote_operation = operation.integer()
        except der.DerError as error:
            raise InstallError(installation_result.INCORRECT_INPUT_VALUES) from error
        euicc_point = der.octets(prepared.one_time_key.public, 0x5F49)
        if not verify_raw(prepared.binding_key, signature.value, signed + euicc_point):
            raise InstallError(installation_result.INVALID_SIGNATURE)
        if remote_operation != _INSTALL:
            raise InstallError(installation_result.UNSUPPORTED_OPERATION)
        if transaction.value != self._known.transaction_id:
            raise InstallError(installation_result.INVALID_TRANSACTION_ID)
        if key_type is None or key_length is None or host_id is None or not 1 <= len(host_id.value) <= 16:
            raise InstallError(installation_result.UNSUPPORTED_CRT)
        if (key_type.value, key_length.value) != (_KEY_TYPE, _KEY_LENGTH):
            raise InstallError(installation_result.UNSUPPORTED_CRT)
        try:
            secret = bpp_protection.agree(private_key(prepared.one_time_key), point.value)
        except bpp_protection.BspError as error:
            raise InstallError(installation_result.INCORRECT_INPUT_VALUES) from error
        keys = bpp_protection.derive_keys(secret, host_id=host_id.value, eid=isdr.identity.eid_bytes)
        self._opener = self._opener_of(keys)

    # --- 87, 88, 86 ---

    def take(self, piece: Piece) -> Profile | None:
        """Open one protected TLV, and carry out the command that it completes; the profile at the very end."""
        plain = self._open(piece)
        if piece.part == ALL_86:
            self._package += plain
            if ISDP_BYTES + len(self._package) + self._extra_bytes() > free_memory_bytes(self._isdr):
                raise InstallError(installation_result.INSUFFICIENT_MEMORY)
            return self._finish() if piece.last else None
        self._content += plain
        if piece.last:
            content = bytes(self._content)
            self._content.clear()
            try:
                self._execute(piece.part, content)
            except der.DerError as error:
                raise InstallError(installation_result.INCORRECT_INPUT_VALUES) from error
        return None

    def _open(self, piece: Piece) -> bytes:
        if self._opener is None:
            raise InstallError(installation_result.STRUCTURE_ERROR)
        try:
            if piece.part == ALL_88:
                return self._opener.verify(piece.raw)
            return self._opener.decrypt(piece.raw)
        except bpp_protection.BspError as error:
            reason = installation_result.STRUCTURE_ERROR if error.structure else installation_result.SECURITY_ERROR
            raise InstallError(reason) from error

    def _opener_of(self, keys: bpp_protection.BspKeys) -> bpp_protection.Opener:
        lenient = self._isdr.quirks.lenient_segments
        largest = _LENIENT_SEGMENT_BYTES if lenient else bpp_protection.MAX_SEGMENT_BYTES
        return bpp_protection.Opener(keys, max_segment_bytes=largest)

    def _execute(self, part: int, content: bytes) -> None:
        match part:
            case 0xA0:
                self._configure_isdp(content)
            case 0xA1:
                self._store_metadata(content)
            case _:
                self._replace_session_keys(content)

    def _configure_isdp(self, content: bytes) -> None:
        """ConfigureISDP (SGP.22 §5.5.2): a place for the profile, and whose it is."""
        node = der.parse(content, ber=True)
        if node.tag != 0xBF24:
            raise der.DerError("not ConfigureISDP")
        data = node.find(0xB8)
        if data is not None:
            self._dp_oid = data.get(0x80).oid()
            if self._dp_oid != self._known.certificate.oid:
                raise InstallError(installation_result.INCORRECT_INPUT_VALUES)
        aid = free_aid(self._isdr.state.profiles)
        if aid is None or free_memory_bytes(self._isdr) < ISDP_BYTES:
            raise InstallError(installation_result.INSUFFICIENT_MEMORY)
        self._aid = aid

    def _store_metadata(self, content: bytes) -> None:
        profile = read_metadata(content)
        self.about.iccid = profile.iccid
        reason = objection(self._isdr, profile)
        if reason is not None:
            raise InstallError(reason)
        self._profile = profile
        if ISDP_BYTES + self._extra_bytes() > free_memory_bytes(self._isdr):
            raise InstallError(installation_result.INSUFFICIENT_MEMORY)

    def _replace_session_keys(self, content: bytes) -> None:
        """ReplaceSessionKeys (SGP.22 §5.5.4): what follows is protected by the keys of the profile."""
        try:
            self._opener = self._opener_of(bpp_protection.replaced_keys(content))
        except bpp_protection.BspError as error:
            raise InstallError(installation_result.INCORRECT_INPUT_VALUES) from error

    # --- the end ---

    def _extra_bytes(self) -> int:
        return len(self._profile.icon) + len(self._profile.service_data) if self._profile is not None else 0

    def _finish(self) -> Profile:
        profile = self._profile
        if profile is None:
            raise InstallError(installation_result.STRUCTURE_ERROR)
        header = self._header()
        if header is not None:
            self._check_iccid(header, profile)
            parameters = header.find(0x87)
            profile.http_params = parameters.value if parameters is not None else b""
        profile.aid = self._aid
        profile.dp_oid = self._dp_oid
        profile.size_bytes = ISDP_BYTES + len(self._package)
        profile.ci_pkid = self.about.ci_pkid
        profile.ecall = profile.ecall and self._isdr.quirks.ecall_supported
        profile.fallback_allowed = profile.fallback_allowed and self._isdr.quirks.fallback_supported
        return profile

    def _header(self) -> der.Node | None:
        """The ProfileHeader; None when the package does not begin with one and this card does not care."""
        try:
            elements = der.parse_all(bytes(self._package), ber=True)
            tags = [element.tag for element in elements]
            sound = bool(tags) and tags[0] == _HEADER_TAG and tags[-1] == _END_TAG
            header = elements[0] if tags and tags[0] == _HEADER_TAG and elements[0].children else None
        except der.DerError:
            sound, header = False, None
        if self._isdr.quirks.check_profile_elements and not sound:
            raise InstallError(installation_result.PE_PROCESSING)
        return header

    @staticmethod
    def _check_iccid(header: der.Node, profile: Profile) -> None:
        """A header has the digits in reading order; one with the order of EF_ICCID is taken as well."""
        iccid = header.find(0x83)
        stored = tbcd(profile.iccid)
        swapped = bytes(byte >> 4 | (byte & 0x0F) << 4 for byte in stored)
        if iccid is not None and iccid.value not in (stored, swapped):
            raise InstallError(installation_result.DATA_MISMATCH)
