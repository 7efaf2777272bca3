"""The rooms as the configuration builds them: nothing said there is dropped on the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ipad_agent.clock import SystemClock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData, EimIdType, EimProtocol, PublicKeyData
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import IpaFeature, IpaProtocol, Release
from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import Config, EimConfig, SecretError, SecretFile
from ipad_agent.config.config_model import DownloadConfig, HttpsConfig, IpaConfig, ModemConfig, TrustConfig
from ipad_agent.eim.errors import CarrierExcluded
from ipad_agent.errors import ConfigError
from ipad_agent.modem.errors import ModemNotFound
from ipad_agent.modem.port import port_discovery
from ipad_agent.modem.port.port_discovery import DiscoveringOpener
from ipad_agent.modem.port.serial_port import SerialPortOpener
from ipad_agent.modem.port.tcp_port import SocketOpener
from ipad_agent.net import Trust
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.wiring import real_rooms
from ipad_agent.wiring.real_rooms import EimLinks, capabilities, download_rules, open_card, smdp_connector

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
    monkeypatch.setattr(real_rooms, "ModemCardAccess", lambda opener, *_, **__: openers.append(opener))
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
    assert (endpoint.user_agent, endpoint.admin_protocol) == ("gsma-rsp-lpad", "x")


def test_it_is_announced_that_profiles_come_directly_only_where_they_can(tmp_path: Path) -> None:
    config = Config(ipa=IpaConfig(features=("minimize_esipa_bytes",)))
    only_through_eim = {IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.MINIMIZE_ESIPA_BYTES}
    announced = capabilities(config, None)
    assert announced.features == only_through_eim
    assert announced.protocols == frozenset({IpaProtocol.RETRIEVE_COAPS, IpaProtocol.RETRIEVE_HTTPS})
    trusting = Config(ipa=config.ipa, trust=TrustConfig(ci_dir=tmp_path))
    connector = smdp_connector(trusting, SystemClock())
    expected = only_through_eim | {IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION}
    assert capabilities(trusting, connector).features == expected


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
