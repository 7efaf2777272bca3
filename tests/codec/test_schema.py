"""The ASN.1 modules, the way they are loaded, and the guards around their codecs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.errors import CodecError

from . import vectors
from .vectors import H

ROOT = Path(__file__).resolve().parents[2]

_MEASURE = """
import sys
def resident_kb():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1])
from ipad_agent.codec.ber import asn1_schema as schema
before = resident_kb()
loaded = schema.Schema(slim={slim})
assert loaded.encode("GetEimPackageResponse", ("eimPackageError", 1)) == bytes.fromhex("BF4F03020101")
print(loaded.slim, resident_kb() - before, "pyparsing" in sys.modules)
"""


def measure(*, slim: bool) -> tuple[bool, int, bool]:
    """(whether the slim way was taken, kilobytes it cost, whether the parser library came along)."""
    command = [sys.executable, "-c", _MEASURE.format(slim=slim)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60).stdout
    way, cost, parser = output.split()
    return way == "True", int(cost), parser == "True"


def test_the_generated_schema_is_current() -> None:
    spec = importlib.util.spec_from_file_location("gen_asn1", ROOT / "tools" / "gen_asn1.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    current = (ROOT / "ipad_agent" / "codec" / "ber" / "schema.json").read_text(encoding="utf-8")
    assert generator.generate() == current, "run python tools/gen_asn1.py"


def test_the_slim_import_works_and_costs_little() -> None:
    slim, slim_kb, slim_parser = measure(slim=True)
    full, full_kb, full_parser = measure(slim=False)
    assert slim, "asn1tools' layout changed: see schema.load_slim"
    assert (full, slim_parser, full_parser) == (False, False, True)
    assert slim_kb < 8_000
    assert slim_kb < full_kb / 2


def test_the_slim_import_leaves_no_trace_for_others() -> None:
    asn1_schema.load_slim()
    assert not [
        name for name in sys.modules if name.startswith("asn1tools") and not hasattr(sys.modules[name], "__file__")
    ]
    asn1tools = importlib.import_module("asn1tools")
    before = {name: module for name, module in sys.modules.items() if name.startswith("asn1tools")}
    assert asn1_schema.load_slim() is not asn1tools.compiler
    assert {name: module for name, module in sys.modules.items() if name.startswith("asn1tools")} == before


def test_when_the_slim_import_breaks_the_full_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise AttributeError("no such module any more")

    monkeypatch.setattr(asn1_schema, "load_slim", broken)
    loaded = asn1_schema.Schema()
    assert not loaded.slim
    assert loaded.encode("IpaCapabilities", {"ipaFeatures": (b"\xc0\0", 16)}) == H("30 04 800206C0")


def test_types_are_found_by_module_or_the_newest_first() -> None:
    iot = asn1_schema.encode("ProfileInfo", {"fallbackAllowed": True})
    assert iot == H("E304 9F6701FF")
    assert asn1_schema.encode("RSPDefinitions.ProfileInfo", {"fallbackAllowed": True}) == H("E300")
    with pytest.raises(CodecError, match="there is no type Nothing"):
        asn1_schema.encode("Nothing", {})


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("GetEimPackageRequest", {}),
        ("GetEimPackageRequest", {"eidValue": b"15 bytes are few"[:15]}),
        ("GetEimPackageRequest", {"eidValue": "text instead of b"}),
        ("EimConfigurationData", {"eimId": ""}),
        ("EimConfigurationData", {"eimId": "x" * 129}),
        ("EimConfigurationData", {"eimId": b"bytes"}),
        ("EimConfigurationData", {"eimId": "\ud800"}),
        ("GetEimPackageResponse", ("nothing", 1)),
        ("GetEimPackageResponse", 5),
        ("IpaCapabilities", {"ipaFeatures": 5}),
        ("IpaCapabilities", {"ipaFeatures": (b"", 8)}),
    ],
)
def test_values_that_do_not_fit_are_refused(type_name: str, value: object) -> None:
    with pytest.raises(CodecError):
        asn1_schema.encode(type_name, value)


@pytest.mark.parametrize(
    ("type_name", "data"),
    [
        ("GetEimPackageResponse", "BF4F 03 020101 00"),
        ("GetEimPackageResponse", "BF4F 06 BF4F 03 020101"),
        ("GetEimPackageResponse", "BF50 03 020101"),
        ("GetEimPackageResponse", "BF4F 80 020101 0000"),
        ("GetEimPackageResponse", "BF4F 03 9E0101"),
        ("EuiccPackageResult", "BF51 07 A205 800165 84"),
        ("EimConfigurationData", "3003 8001FF"),
        ("EimConfigurationData", "3000"),
        ("EimConfigurationData", ""),
    ],
)
def test_data_that_does_not_fit_is_refused(type_name: str, data: str) -> None:
    with pytest.raises(CodecError):
        asn1_schema.decode(type_name, H(data))


def test_a_field_that_reaches_beyond_its_parent_is_refused() -> None:
    # A1 holds two bytes, the field in it claims five and would swallow what follows A1.
    with pytest.raises(CodecError, match="85 says 5 bytes, 0 are there"):
        asn1_schema.decode("DeviceInfo", H("30 0F 800453926011 A102 8505 8203010203"))


def test_a_flood_of_elements_is_refused_before_decoding() -> None:
    flood = tlv.encode(0xBF55, *[tlv.encode(0x30, b"\x05\x00" * 4000)] * 3)
    with pytest.raises(CodecError, match="more than 8192 elements"):
        asn1_schema.check_nesting(flood)


@pytest.mark.timeout(10)
def test_a_list_with_an_element_of_another_kind_is_refused_and_not_decoded_for_ever() -> None:
    assert asn1_schema.decode("EimAcknowledgements", H("BF53 06 800101 800102")) == [1, 2]
    with pytest.raises(CodecError):
        asn1_schema.decode("EimAcknowledgements", H("BF53 06 800101 020102"))


@given(st.binary(max_size=4), st.integers(0, 32))
def test_named_bits_are_trimmed_as_der_wants(octets: bytes, count: int) -> None:
    count = min(count, len(octets) * 8)
    bits = {bit for bit in range(count) if octets[bit // 8] & (0x80 >> bit % 8)}
    content = asn1_schema.encode("NotificationEvent", (octets, count))[2:]
    size = max(bits) + 1 if bits else 0
    assert content[0] == -size % 8
    assert len(content) == 1 + (size + 7) // 8
    assert {bit for bit in range(size) if content[1 + bit // 8] & (0x80 >> bit % 8)} == bits


def test_bit_strings_without_names_keep_their_zeros() -> None:
    value = {"algorithm": H("3000"), "subjectPublicKey": (b"\x80\x00", 16)}
    assert asn1_schema.encode("SubjectPublicKeyInfo", value) == H("3007 3000 0303008000")


CASES = [
    ("EuiccPackageRequest", vectors.PACKAGE_ENABLE),
    ("EuiccPackageRequest", vectors.PACKAGE_ECO),
    ("EuiccPackageResult", vectors.RESULT_SIGNED),
    ("EuiccPackageResult", vectors.RESULT_ERROR_SIGNED),
    ("RetrieveNotificationsListResponse", vectors.RETRIEVED),
    ("RetrieveNotificationsListResponse", vectors.RETRIEVED_RESULTS),
    ("ListNotificationResponse", vectors.LISTED),
    ("PendingNotification", vectors.COMPACT_PIR),
    ("PendingNotification", vectors.COMPACT_OTHER),
    ("ProfileInstallationResult", vectors.PIR_FAILED),
    ("IpaEuiccDataRequest", vectors.DATA_REQUEST),
    ("IpaEuiccDataResponse", vectors.IPA_DATA),
    ("EUICCInfo1", vectors.INFO1),
    ("EUICCInfo2", vectors.INFO2),
    ("ProfileInfoListResponse", vectors.PROFILES),
    ("GetRatResponse", vectors.RAT),
    ("GetCertsResponse", vectors.CERTS),
    ("StoreMetadataRequest", vectors.METADATA),
    ("InitiateAuthenticationResponseEsipa", vectors.INITIATE_OK),
    ("AuthenticateClientResponseEsipa", vectors.CLIENT_OK),
    ("AuthenticateClientResponseEsipa", vectors.CLIENT_DS),
    ("AuthenticateServerRequest", vectors.AUTH_REQUEST),
    ("AuthenticateServerResponse", vectors.AUTH_OK),
    ("PrepareDownloadRequest", vectors.PREPARE_REQUEST),
    ("PrepareDownloadResponse", vectors.PREPARE_OK),
    ("CancelSessionResponse", vectors.CANCEL_OK),
    ("ProfileRollbackResponse", vectors.ROLLBACK_OK),
    ("GetEimConfigurationDataResponse", vectors.EIM_DUMP),
    ("AddInitialEimRequest", vectors.ADD_INITIAL),
]


@pytest.mark.parametrize(
    ("type_name", "data"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)]
)
def test_the_modules_agree_with_vectors_written_by_hand(type_name: str, data: bytes) -> None:
    assert asn1_schema.encode(type_name, asn1_schema.decode(type_name, data)) == data


# -- traps in the modules themselves ---------------------------------------------------------------------------------

_BUILT_IN = {
    "CHOICE",
    "SEQUENCE",
    "SEQUENCE OF",
    "INTEGER",
    "OCTET STRING",
    "BIT STRING",
    "NULL",
    "BOOLEAN",
    "UTF8String",
    "OBJECT IDENTIFIER",
    "ANY",
}


def every_node() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(module, path, definition) of every type, field and element."""
    for module, content in asn1_schema.load_modules().items():
        pending = list(content["types"].items())
        while pending:
            path, node = pending.pop()
            yield module, path, node
            pending += [(f"{path}.{member['name']}", member) for member in node.get("members", ()) if member]
            if "element" in node:
                pending.append((f"{path}[]", node["element"]))


def resolve(module: str, node: dict[str, Any]) -> list[dict[str, Any]]:
    """The definitions a node refers to, itself first."""
    modules = asn1_schema.load_modules()
    chain = [node]
    while chain[-1]["type"] not in _BUILT_IN:
        name = chain[-1]["type"]
        if name not in modules[module]["types"]:
            module = next(source for source, names in modules[module]["imports"].items() if name in names)
        chain.append(modules[module]["types"][name])
    return chain


def test_no_tag_nests_by_accident() -> None:
    """A tag on a CHOICE must say EXPLICIT, and nothing may put a second tag on a CHOICE that has one."""
    for module, path, node in every_node():
        tag = node.get("tag")
        if tag is None:
            continue
        chain = resolve(module, node)
        if tag.get("kind") != "EXPLICIT":
            assert chain[-1]["type"] not in ("CHOICE", "ANY"), f"{module}.{path} must be EXPLICIT"
        assert not any(other.get("tag", {}).get("kind") == "EXPLICIT" for other in chain[1:]), f"{module}.{path} nests"


def test_every_module_is_in_the_lookup_order() -> None:
    assert set(asn1_schema.load_modules()) == set(asn1_schema.MODULES)
    sources = {path.stem for path in (ROOT / "asn1").glob("*.asn")}
    assert sources == set(asn1_schema.MODULES)


def test_the_names_of_result_numbers_agree_with_the_modules() -> None:
    """``code_names.py`` and the modules were written apart; they must tell the same story."""
    from ipad_agent.codec.ber import code_names as names

    pairs = {
        "ENABLE": "EnableProfileResult",
        "DISABLE": "DisableProfileResult",
        "DELETE": "DeleteProfileResult",
        "LIST_PROFILES": "ProfileInfoListError",
        "CONFIGURE_IMMEDIATE": "ConfigureImmediateEnableResult",
        "ADD_EIM": "AddEimResult.addEimResultCode",
        "DELETE_EIM": "DeleteEimResult",
        "UPDATE_EIM": "UpdateEimResult",
        "ROLLBACK": "RollbackProfileResult",
        "SET_FALLBACK": "SetFallbackAttributeResult",
        "UNSET_FALLBACK": "UnsetFallbackAttributeResult",
        "SET_DEFAULT_DP": "SetDefaultDpAddressResponse.setDefaultDpAddressResult",
        "TERMINATED": "EuiccResultData.processingTerminated",
        "PACKAGE_ERROR": "EuiccPackageErrorCode",
        "REMOVE_NOTIFICATION": "NotificationSentResponse.deleteNotificationStatus",
        "LIST_ERROR": "ListNotificationResponse.listNotificationsResultError",
        "MEMORY_RESET": "EuiccMemoryResetResponse.resetResult",
        "MEMORY_RESET_EIM": "EuiccMemoryResetResponse.resetEimResult",
        "MEMORY_RESET_IMMEDIATE": "EuiccMemoryResetResponse.resetImmediateEnableConfigResult",
        "IMMEDIATE_ENABLE": "ImmediateEnableResponse.immediateEnableResult",
        "PROFILE_ROLLBACK": "ProfileRollbackResponse.cmdResult",
        "CONFIGURE_IMMEDIATE_LOCAL": "ConfigureImmediateProfileEnablingResponse.configImmediateEnableResult",
        "EXECUTE_FALLBACK": "ExecuteFallbackMechanismResponse.executeFallbackMechanismResult",
        "RETURN_FROM_FALLBACK": "ReturnFromFallbackResponse.returnFromFallbackResult",
        "ENABLE_EMERGENCY": "EnableEmergencyProfileResponse.enableEmergencyProfileResult",
        "DISABLE_EMERGENCY": "DisableEmergencyProfileResponse.disableEmergencyProfileResult",
        "CONNECTIVITY": "ConnectivityParametersError",
        "IPAE_ACTIVATION": "IpaeActivationResponse.ipaeActivationResult",
        "AUTHENTICATE": "AuthenticateErrorCode",
        "PREPARE_DOWNLOAD": "DownloadErrorCode",
        "CANCEL_SESSION_CARD": "CancelSessionResponseChoice.cancelSessionResponseError",
        "BPP_COMMAND": "BppCommandId",
        "BPP_ERROR": "ErrorReason",
        "INITIATE_AUTHENTICATION": "InitiateAuthenticationResponseEsipa.initiateAuthenticationErrorEsipa",
        "AUTHENTICATE_CLIENT": "AuthenticateClientResponseEsipa.authenticateClientErrorEsipa",
        "GET_BPP": "GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa",
        "CANCEL_SESSION_EIM": "CancelSessionResponseEsipa.cancelSessionError",
        "UNSIGNED_PACKAGE_ERROR": "EuiccPackageErrorUnsigned.euiccPackageUnsignedErrorCode",
        "EIM_PACKAGE": "GetEimPackageResponse.eimPackageError",
        "PROVIDE_RESULT": "ProvideEimPackageResultResponse.provideEimPackageResultError",
    }
    # GET_CERTS: the module's own name for 127 is misspelled in the specification; LIST_EIM keeps a v1.0 number.
    apart = {"GET_CERTS", "LIST_EIM", "_OK"}
    assert {name for name in vars(names) if re.fullmatch(r"[A-Z_]+", name)} == {*pairs, *apart}
    found: dict[str, dict[str, int]] = {}
    for module, path, node in every_node():
        if "named-numbers" in node and (module == "SGP32Definitions" or path not in found):
            found[path] = node["named-numbers"]
    for table, path in pairs.items():
        assert {name: code for code, name in getattr(names, table).items()} == found[path], table
