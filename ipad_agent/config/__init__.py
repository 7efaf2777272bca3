"""The configuration file: TOML in, frozen dataclasses out, every mistake named with its place."""

from .errors import ConfigErrors, SecretError
from .model import (
    DEFAULT_PATH,
    CardConfig,
    CoapConfig,
    Config,
    EimConfig,
    HttpsConfig,
    IpaConfig,
    LogConfig,
    ModemConfig,
    PollConfig,
    ProvisioningConfig,
    StoreConfig,
    TrustConfig,
)
from .reading import check, load, loads
from .secret import SecretFile

__all__ = [
    "DEFAULT_PATH",
    "CardConfig",
    "CoapConfig",
    "Config",
    "ConfigErrors",
    "EimConfig",
    "HttpsConfig",
    "IpaConfig",
    "LogConfig",
    "ModemConfig",
    "PollConfig",
    "ProvisioningConfig",
    "SecretError",
    "SecretFile",
    "StoreConfig",
    "TrustConfig",
    "check",
    "load",
    "loads",
]
