"""What the configuration makes of the IPA itself: what it announces, how it downloads, and which eIMs it gives to a
card that has none."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.clock import Clock
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, IpaProtocol
from ipad_agent.config import Config
from ipad_agent.errors import ConfigError
from ipad_agent.procedures.context import DownloadRules
from ipad_agent.procedures.download import events as download_events
from ipad_agent.procedures.startup.initial_eim_provisioning import PLACE, read_initial_eims
from ipad_agent.smdp import SmdpConnector, SmdpSettings
from ipad_agent.store import Memory

from .bundle_files import BundleFiles


def capabilities(config: Config, connector: SmdpConnector | None) -> IpaCapabilities:
    """What this IPA announces: what it can do as it is set up, and what the configuration leaves to eIMs as far as
    this IPA acts on it."""
    features = set()
    for name in config.ipa.features:
        feature = IpaFeature[name.upper()]
        if config.download.way == "direct":
            download_events.FEATURE_NOT_DONE.emit(feature=name)
        else:
            features.add(feature)
    if config.download.way != "direct":
        features.add(IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION)
    if connector is not None:
        features.add(IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION)
    protocols = {IpaProtocol.RETRIEVE_COAPS, IpaProtocol.RETRIEVE_HTTPS}
    pushed = {"https": IpaProtocol.INJECT_HTTPS, "coaps": IpaProtocol.INJECT_COAPS}
    protocols |= {pushed[place.partition("://")[0]] for place in config.inject.listen}
    return IpaCapabilities(frozenset(features), frozenset(protocols))


def minimizes(config: Config) -> bool:
    """Whether this IPA announces that it leaves out what an eIM knows."""
    return "minimize_esipa_bytes" in config.ipa.features and config.download.way != "direct"


def smdp_connector(
    config: Config, clock: Clock, *, on_packet: Callable[[], None] | None = None
) -> SmdpConnector | None:
    """Links to SM-DP+s and SM-DSs; None when nothing is configured that could vouch for one, or all of it shall go
    through the eIM."""
    https, trust = config.https, config.trust
    if config.download.way == "indirect" or (trust.ci_dir is None and not trust.web_pki):
        return None
    settings = SmdpSettings(
        ci_dir=trust.ci_dir,
        web_pki=trust.web_pki,
        allow_expired=trust.allow_expired,
        user_agent=https.smdp_user_agent,
        admin_protocol=https.admin_protocol,
        connect_timeout_s=https.connect_timeout_s,
        exchange_timeout_s=https.exchange_timeout_s,
        allow_private_servers=config.download.allow_private_servers,
        max_bpp_bytes=config.download.max_package_bytes,
    )
    return SmdpConnector(settings, clock=clock, on_packet=on_packet)


def download_rules(config: Config) -> DownloadRules:
    """What was decided about downloads. Raises ``SecretError`` when the confirmation code cannot be read."""
    file = config.download.confirmation_code_file
    return DownloadRules(
        eim_is_consent=config.download.eim_is_consent,
        confirmation_code=None if file is None else file.read_text(),
        allow_expired=config.trust.allow_expired,
        give_up_s=config.download.give_up_s,
        max_attempts=config.download.max_attempts,
    )


def bundle_files(config: Config, memory: Memory, clock: Clock) -> BundleFiles | None:
    """Where provisioning bundles wait; None where this device takes no eIM from anybody here."""
    if not config.provisioning.allow:
        return None
    return BundleFiles(config.provisioning.bundle, config.store.state_dir, memory, clock)


def initial_eims(config: Config) -> bytes | None:
    """The AddInitialEim request of the configuration, checked; None when there is none. Raises ``ConfigError``."""
    path = config.provisioning.initial_eim
    if path is None or not config.provisioning.allow:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(PLACE, f"{path} cannot be read: {error.strerror}") from error
    return read_initial_eims(data, str(path))
