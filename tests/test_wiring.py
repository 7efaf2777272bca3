"""The rooms as the configuration builds them: nothing said there is dropped on the way."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ipad_agent.clock import SystemClock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData, EimIdType, EimProtocol, PublicKeyData
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import IpaFeature, IpaProtocol, Release
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config, EimConfig, SecretError, SecretFile
from ipad_agent.config.config_model import DownloadConfig, HttpsConfig, IpaConfig, ModemConfig, TrustConfig
from ipad_agent.eim import EimClient, FailoverCarrier
from ipad_agent.eim.errors import CarrierExcluded
from ipad_agent.errors import ConfigError, StoreError
from ipad_agent.modem.errors import ModemNotFound
from ipad_agent.modem.port import port_discovery
from ipad_agent.modem.port.port_discovery import DiscoveringOpener
from ipad_agent.modem.port.serial_port import SerialPortOpener
from ipad_agent.modem.port.tcp_port import SocketOpener
from ipad_agent.net import HttpsEndpoint, Trust
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.wiring import configured_card
from ipad_agent.wiring.configured_card import open_card
from ipad_agent.wiring.eim_links import EimLinks
from ipad_agent.wiring.ipa_configuration import capabilities, download_rules, smdp_connector
from ipad_agent.wiring.module_memory import IccidOrder

EID = Eid.parse("89049032000000000000000000000124")
# An uncompressed point needs not be on the curve to be pinned: only its bytes are compared.
SPKI = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def memory() -> Memory:
    return Memory(MemoryFilesystem(), state_dir="/state", runtime_dir="/run")


def test_a_module_profile_with_a_mistake_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mine.toml").write_text('[uicc]\norder = ["pigeon"]\n')
    caplog.set_level(logging.WARNING, "ipad_agent")
    open_card(Config(modem=ModemConfig(profiles_dir=tmp_path)), memory(), SystemClock())
    (said,) = [record for record in caplog.records if getattr(record, "event").id == "IPA-2015"]  # noqa: B009 - typing
    assert str(tmp_path / "mine.toml") in said.getMessage()
    assert "uicc.order" in said.getMessage()


def test_how_a_module_prints_the_iccid_is_remembered_over_restarts() -> None:
    disk = MemoryFilesystem()

    def order() -> IccidOrder:
        return IccidOrder(Memory(disk, state_dir="/state", runtime_dir="/run"))

    assert not order().as_in_file("ACME M1 AT+CCID")
    order().save("ACME M1 AT+CCID")
    disk.power_cut()
    assert order().as_in_file("ACME M1 AT+CCID")
    assert not order().as_in_file("ACME M1 AT+ICCID")


def test_a_full_disk_is_no_reason_to_lose_a_card_whose_modem_prints_oddly() -> None:
    class Full:
        def load(self, name: str) -> dict[str, object]:
            return {}

        def save(self, name: str, document: object) -> None:
            raise StoreError("no room")

    order = IccidOrder(cast(Memory, Full()))
    order.save("ACME M1 AT+CCID")
    assert not order.as_in_file("ACME M1 AT+CCID")


def test_the_card_is_opened_with_that_memory() -> None:
    access = open_card(Config(modem=ModemConfig(port="/dev/null")), memory(), SystemClock()).access
    assert isinstance(access._iccids._printing, IccidOrder)


def test_a_profile_that_does_not_exist_is_a_configuration_error_that_lists_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"modem.profile.*generic-3gpp"):
        open_card(Config(modem=ModemConfig(profile="nosuch")), memory(), SystemClock())


@pytest.mark.parametrize(
    ("port", "kind"),
    [("auto", DiscoveringOpener), ("/dev/ttyUSB2", SerialPortOpener), ("socket://[::1]:4000", SocketOpener)],
)
def test_the_port_is_searched_for_opened_or_connected_to_as_the_configuration_says(
    port: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    openers: list[object] = []
    monkeypatch.setattr(configured_card, "ModemCardAccess", lambda opener, *_, **__: openers.append(opener))
    open_card(Config(modem=ModemConfig(port=port)), memory(), SystemClock())
    assert [type(opener) for opener in openers] == [kind]


async def test_the_daemon_that_finds_no_modem_says_what_it_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_discovery, "read_ttys", lambda root: ())
    monkeypatch.setattr(port_discovery, "read_usb_devices", lambda root: ())
    monkeypatch.setattr(port_discovery, "OPERATOR_LINK", Path("dev/no-such-link"))
    card = open_card(Config(), memory(), SystemClock())
    with pytest.raises(ModemNotFound, match="there are no serial ports"):
        await card.access.identity()


def entry(*protocols: EimProtocol) -> EimConfigurationData:
    return EimConfigurationData.build(
        eim_id="eim.example",
        id_type=EimIdType.FQDN,
        counter=0,
        trusted_tls=PublicKeyData("spki", SPKI),
        supported_protocol=protocols or None,
    )


def links(**eim: object) -> EimLinks:
    chosen = EimConfig(id="eim.example", **eim)  # type: ignore[arg-type]  # by name
    return EimLinks(Config(eim=(chosen,)), SystemClock())


# A data request with the SM-DP+ address under 80, as v1.0 has it (BF4F { BF52 { 5C 80 } }).
OLD_QUESTION = bytes.fromhex("BF4F06BF52035C0180")


async def shown(client: EimClient, monkeypatch: pytest.MonkeyPatch, *answers: bytes) -> list[bytes]:
    """What the eIM gets when it answers so to a question for work and to a result."""
    sent: list[bytes] = []
    left = list(answers)

    async def exchange(self: object, body: bytes, *, function: str) -> bytes:
        sent.append(body)
        return left.pop(0)

    monkeypatch.setattr(FailoverCarrier, "exchange", exchange)
    if len(left) > 1:
        await client.get_eim_package()
    await client.provide_eim_package_result(bytes.fromhex("BF5108A206800165840103"))
    return sent


async def test_what_an_eim_shows_of_its_dialect_is_in_the_memory_for_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = memory()
    config = Config(eim=(EimConfig(id="eim.example", protocol_bits="ignored"),))
    first = EimLinks(config, SystemClock(), kept).link(entry(), EID)
    await shown(first, monkeypatch, OLD_QUESTION, b"")
    assert kept.load("dialects")["eim.example"] == {
        "release": "1.0",
        "weight": 2,
        "why": "its data request has the tags of v1.0",
    }
    after = EimLinks(config, SystemClock(), kept).link(entry(), EID)
    assert (await shown(after, monkeypatch, b""))[0].hex() == "bf500bbf5108a206800165840103"


async def test_the_dialect_of_the_configuration_reaches_the_eim(monkeypatch: pytest.MonkeyPatch) -> None:
    for dialect, first in (("1.0", "bf500b"), ("1.2", "bf501d5a10"), ("1.3", "bf501d5a10"), ("auto", "bf500b")):
        made = links(protocol_bits="ignored", dialect=dialect).link(entry(), EID)
        assert (await shown(made, monkeypatch, b""))[0].hex().startswith(first), dialect


def test_only_an_eim_of_v1_3_is_told_a_release_of_sgp_32_in_the_header() -> None:
    for dialect, header in (("auto", "gsma/rsp/v2.1.0"), ("1.2", "gsma/rsp/v2.1.0"), ("1.3", "gsma/rsp/v1.3.0")):
        (endpoint,) = links(carrier="https", dialect=dialect).endpoints(entry())
        assert isinstance(endpoint, HttpsEndpoint)
        assert endpoint.admin_protocol == header
    chosen = Config(
        https=HttpsConfig(admin_protocol="gsma/rsp/v2.5.0"),
        eim=(EimConfig(id="eim.example", carrier="https", dialect="1.3"),),
    )
    (endpoint,) = EimLinks(chosen, SystemClock()).endpoints(entry())
    assert isinstance(endpoint, HttpsEndpoint)
    assert endpoint.admin_protocol == "gsma/rsp/v2.5.0"


def test_an_eim_that_insists_on_another_header_gets_it_and_no_other_does() -> None:
    eims = (
        EimConfig(id="eim.example", carrier="https", admin_protocol="gsma/rsp/v2.3.0", dialect="1.3"),
        EimConfig(id="other.example"),
    )
    (endpoint,) = EimLinks(Config(eim=eims), SystemClock()).endpoints(entry())
    assert isinstance(endpoint, HttpsEndpoint)
    assert endpoint.admin_protocol == "gsma/rsp/v2.3.0"


@pytest.mark.parametrize(
    ("bits", "protocols", "excluded"),
    [
        ("practical", [EimProtocol.INJECT_HTTPS], True),
        ("practical", [EimProtocol.RETRIEVE_HTTPS], False),
        ("practical", [], False),
        ("strict", [], True),
        ("strict", [EimProtocol.RETRIEVE_COAPS], False),
        ("ignored", [EimProtocol.INJECT_HTTPS], False),
    ],
)
def test_the_configuration_decides_how_much_the_protocols_on_the_card_count(
    bits: str, protocols: list[EimProtocol], excluded: bool
) -> None:
    made = links(protocol_bits=bits)
    if excluded:
        with pytest.raises(CarrierExcluded):
            made.link(entry(*protocols), EID)
    else:
        made.link(entry(*protocols), EID)


def test_direct_downloads_need_somebody_who_vouches_for_the_servers(tmp_path: Path) -> None:
    assert smdp_connector(Config(), SystemClock()) is None
    assert smdp_connector(Config(trust=TrustConfig(ci_dir=tmp_path)), SystemClock()) is not None
    assert smdp_connector(Config(trust=TrustConfig(web_pki=True)), SystemClock()) is not None


def test_what_is_configured_about_servers_reaches_their_endpoints(tmp_path: Path) -> None:
    config = Config(
        trust=TrustConfig(ci_dir=tmp_path, allow_expired=True),
        https=HttpsConfig(
            connect_timeout_s=7, exchange_timeout_s=8, smdp_user_agent="gsma-rsp-lpad", admin_protocol="x"
        ),
    )
    connector = smdp_connector(config, SystemClock())
    assert connector is not None
    endpoint = connector.endpoint("smdp.example", None, Trust.spki(SPKI))
    assert (endpoint.connect_timeout_s, endpoint.exchange_timeout_s) == (7, 8)
    assert endpoint.public_only
    assert (endpoint.user_agent, endpoint.admin_protocol) == ("gsma-rsp-lpad", "x")


def test_servers_for_profiles_may_be_in_private_networks_only_where_the_owner_says_so(tmp_path: Path) -> None:
    config = Config(trust=TrustConfig(ci_dir=tmp_path), download=DownloadConfig(allow_private_servers=True))
    connector = smdp_connector(config, SystemClock())
    assert connector is not None
    assert not connector.endpoint("smdp.example", None, Trust.spki(SPKI)).public_only


@pytest.mark.parametrize(
    ("way", "trusting", "announced"),
    [
        ("auto", False, {IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}),
        (
            "auto",
            True,
            {IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION},
        ),
        ("indirect", True, {IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}),
        ("direct", True, {IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION}),
        ("direct", False, set()),
    ],
)
def test_it_is_announced_how_profiles_can_come(
    tmp_path: Path, way: str, trusting: bool, announced: set[IpaFeature]
) -> None:
    config = Config(download=DownloadConfig(way=way), trust=TrustConfig(ci_dir=tmp_path if trusting else None))
    found = capabilities(config, smdp_connector(config, SystemClock()))
    assert found.features == announced
    assert found.protocols == frozenset({IpaProtocol.RETRIEVE_COAPS, IpaProtocol.RETRIEVE_HTTPS})


def test_only_what_the_agent_does_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    # An eIM takes over only what goes through it.
    ipa = IpaConfig(features=("minimize_esipa_bytes", "eim_ctx_params1_generation"))
    announced = capabilities(Config(ipa=ipa), None).features
    assert announced == {
        IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION,
        IpaFeature.EIM_CTX_PARAMS1_GENERATION,
        IpaFeature.MINIMIZE_ESIPA_BYTES,
    }
    assert capabilities(Config(ipa=ipa, download=DownloadConfig(way="direct")), None).features == frozenset()
    said = [getattr(record, "event").id for record in caplog.records]  # noqa: B009 - typing
    assert said == ["IPA-4350", "IPA-4350"]


def test_the_rules_of_downloads_are_those_of_the_configuration(tmp_path: Path) -> None:
    rules = download_rules(Config())
    assert (rules.eim_is_consent, rules.confirmation_code, rules.allow_expired) == (False, None, False)
    code = tmp_path / "code"
    code.write_text("4711-0815\n")
    code.chmod(0o600)
    download = DownloadConfig(eim_is_consent=True, confirmation_code_file=SecretFile(str(code)))
    rules = download_rules(Config(download=download, trust=TrustConfig(allow_expired=True)))
    assert (rules.eim_is_consent, rules.confirmation_code, rules.allow_expired) == (True, "4711-0815", True)
    assert "4711" not in repr(rules)
    code.unlink()
    with pytest.raises(SecretError, match="cannot be read"):
        download_rules(Config(download=download))


def client_files(folder: Path) -> dict[str, SecretFile]:
    """A certificate of this device with its key, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    certificate = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=9000)).sign(key, SHA256())
    (folder / "device.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "device.key").touch(mode=0o600)
    (folder / "device.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "client_certificate": SecretFile(str(folder / "device.crt")),
        "client_key_file": SecretFile(str(folder / "device.key")),
    }


def test_the_certificate_of_this_device_reaches_both_carriers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = client_files(tmp_path)
    coaps, https = links(**files).endpoints(entry(EimProtocol.RETRIEVE_COAPS, EimProtocol.RETRIEVE_HTTPS))
    assert coaps.client_certificate is not None
    assert coaps.client_certificate == https.client_certificate
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    (none, _) = links().endpoints(entry(EimProtocol.RETRIEVE_COAPS, EimProtocol.RETRIEVE_HTTPS))
    assert none.client_certificate is None


def test_a_certificate_of_this_device_that_cannot_be_used_concerns_its_eim_alone(tmp_path: Path) -> None:
    files = client_files(tmp_path)
    (tmp_path / "device.key").write_text("hunter2")
    with pytest.raises(ConfigError, match=r"device\.key: holds no private key") as caught:
        links(**files).link(entry(EimProtocol.RETRIEVE_COAPS), EID)
    assert "hunter2" not in str(caught.value)
    (tmp_path / "device.key").unlink()
    with pytest.raises(SecretError, match="cannot be read"):
        links(**files).link(entry(EimProtocol.RETRIEVE_COAPS), EID)


@pytest.mark.parametrize(
    ("ipa", "releases", "tac"),
    [
        (IpaConfig(), {Release.EUTRAN_EPC: Version(14, 0, 0)}, None),  # as the module's profile says
        (
            IpaConfig(releases=("eutran_epc=9", "gsm=99"), tac="35329061"),
            {Release.EUTRAN_EPC: Version(9, 0, 0), Release.GSM: Version(99, 0, 0)},
            "35329061",
        ),
    ],
)
async def test_the_device_tells_the_releases_of_the_configuration_or_of_the_modules_profile(
    ipa: IpaConfig, releases: dict[Release, Version], tac: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = open_card(Config(modem=ModemConfig(profile="ublox-sara-r5"), ipa=ipa), memory(), SystemClock())

    async def identity() -> None:
        return None

    monkeypatch.setattr(card.access, "identity", identity)
    assert await card.releases() == releases
    assert await card.tac() == tac
