"""The configuration: every key with its type, its default, what is allowed and why it is there.

The sections are the one place a key is described; the reader, the manual (``docs/configuration.md``) and the tests
follow them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipad_agent.policy import NBIOT, NORMAL
from ipad_agent.policy.guardian import guardian_settings
from ipad_agent.policy.switching import switch_settings
from ipad_agent.records import dataclass, field

from .carrier_and_eim_sections import CoapConfig, DownloadConfig, EimConfig, HttpsConfig, InjectConfig, TrustConfig
from .modem_and_card_sections import IPA_FEATURES, CardConfig, IpaConfig, ModemConfig, ProvisioningConfig
from .poll_and_switch_sections import GuardianConfig, PollConfig, PowerConfig, SwitchConfig
from .site_and_budget_sections import BudgetConfig, ConditionsConfig, SiteConfig, WakeConfig
from .store_log_and_local_sections import LedConfig, LocalConfig, LogConfig, MetricsConfig, RecordConfig, StoreConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "DEFAULT_PATH",
    "IPA_FEATURES",
    "SECTIONS",
    "BudgetConfig",
    "CardConfig",
    "CoapConfig",
    "ConditionsConfig",
    "Config",
    "DownloadConfig",
    "EimConfig",
    "GuardianConfig",
    "HttpsConfig",
    "InjectConfig",
    "IpaConfig",
    "LedConfig",
    "LocalConfig",
    "LogConfig",
    "MetricsConfig",
    "ModemConfig",
    "PollConfig",
    "PowerConfig",
    "ProvisioningConfig",
    "RecordConfig",
    "SiteConfig",
    "StoreConfig",
    "SwitchConfig",
    "TrustConfig",
    "WakeConfig",
    "preset_defaults",
]

DEFAULT_PATH: Final = Path("/etc/ipad-agent/config.toml")


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. ``origins`` tells for every place whether its value is a default (``default``,
    ``preset nbiot``) or from the ``file``; ``path`` is that file, None for the defaults alone."""

    modem: ModemConfig = field(default_factory=ModemConfig)
    card: CardConfig = field(default_factory=CardConfig)
    provisioning: ProvisioningConfig = field(default_factory=ProvisioningConfig)
    ipa: IpaConfig = field(default_factory=IpaConfig)
    poll: PollConfig = field(default_factory=PollConfig)
    switch: SwitchConfig = field(default_factory=SwitchConfig)
    guardian: GuardianConfig = field(default_factory=GuardianConfig)
    conditions: ConditionsConfig = field(default_factory=ConditionsConfig)
    site: SiteConfig = field(default_factory=SiteConfig)
    coap: CoapConfig = field(default_factory=CoapConfig)
    https: HttpsConfig = field(default_factory=HttpsConfig)
    inject: InjectConfig = field(default_factory=InjectConfig)
    wake: WakeConfig = field(default_factory=WakeConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)
    download: DownloadConfig = field(default_factory=DownloadConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    power: PowerConfig = field(default_factory=PowerConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    local: LocalConfig = field(default_factory=LocalConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    led: LedConfig = field(default_factory=LedConfig)
    log: LogConfig = field(default_factory=LogConfig)
    eim: tuple[EimConfig, ...] = ()
    path: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    """In which line of the file each key is that comes from it."""

    def eim_named(self, eim_id: str) -> EimConfig | None:
        """What the file says about this eIM, if anything."""
        return next((eim for eim in self.eim if eim.id == eim_id), None)

    def places(self) -> Iterator[tuple[str, object, str]]:
        """Every key as (place, value, origin), for ``config show --origin``. No value is a secret."""
        for section in SECTIONS:
            for name, value in _values(getattr(self, section)):
                yield f"{section}.{name}", value, self.origins.get(f"{section}.{name}", "default")
        for number, eim in enumerate(self.eim):
            for name, value in _values(eim):
                place = f"eim[{number}].{name}"
                yield place, value, self.origins.get(place, "default")


SECTIONS: Final[Mapping[str, type]] = {
    "modem": ModemConfig,
    "card": CardConfig,
    "provisioning": ProvisioningConfig,
    "ipa": IpaConfig,
    "poll": PollConfig,
    "switch": SwitchConfig,
    "guardian": GuardianConfig,
    "conditions": ConditionsConfig,
    "site": SiteConfig,
    "coap": CoapConfig,
    "https": HttpsConfig,
    "inject": InjectConfig,
    "wake": WakeConfig,
    "trust": TrustConfig,
    "download": DownloadConfig,
    "budget": BudgetConfig,
    "power": PowerConfig,
    "store": StoreConfig,
    "local": LocalConfig,
    "metrics": MetricsConfig,
    "record": RecordConfig,
    "led": LedConfig,
    "log": LogConfig,
}

# On a network whose round trips take seconds. Flights of 9 s doubling four times need 135 s.
_NBIOT_COAP: Final[Mapping[str, object]] = {
    "ack_timeout_s": 9.0,
    "flight_timeout_s": 9.0,
    "handshake_timeout_s": 150.0,
    "exchange_timeout_s": 900.0,
    "close_notify": False,
}
_NBIOT_HTTPS: Final[Mapping[str, object]] = {"connect_timeout_s": 120.0, "exchange_timeout_s": 900.0}


def preset_defaults(preset: str) -> dict[str, dict[str, object]]:
    """Defaults of a preset that differ from those of the model, by section and key."""
    if preset != "nbiot":
        return {"poll": {}, "switch": {}, "guardian": {}, "coap": {}, "https": {}}
    return {
        "poll": _differences(NBIOT, NORMAL),
        "switch": _differences(switch_settings.NBIOT, switch_settings.NORMAL),
        "guardian": _differences(guardian_settings.NBIOT, guardian_settings.NORMAL),
        "coap": dict(_NBIOT_COAP),
        "https": dict(_NBIOT_HTTPS),
    }


def _differences(chosen: DataclassInstance, normal: DataclassInstance) -> dict[str, object]:
    return {name: value for name, value in _values(chosen) if value != getattr(normal, name)}


def _values(section: DataclassInstance) -> Iterator[tuple[str, object]]:
    for item in fields(section):
        yield item.name, getattr(section, item.name)
