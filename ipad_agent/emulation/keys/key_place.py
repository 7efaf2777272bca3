"""Which place the configuration names for the device key."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ipad_agent.emulation.device_key import DeviceKey, KeyFile, KeyTrouble, SoftwareKey
from ipad_agent.errors import IpadError


class SecretText(Protocol):
    """``config.SecretFile``."""

    def read_text(self) -> str: ...


class KeySettings(Protocol):
    """``config.CardConfig``: where the key is kept. Without a module it is a file."""

    @property
    def emulation_key_module(self) -> Path | None: ...

    @property
    def emulation_key_token(self) -> str: ...

    @property
    def emulation_key_label(self) -> str: ...

    @property
    def emulation_key_pin_file(self) -> SecretText | None: ...


class PersonsKeyPlace(Protocol):
    """``KeyPlace``, also for commands of people, who may want another key."""

    def load(self) -> DeviceKey | None: ...

    def create(self) -> DeviceKey: ...

    @property
    def takes_keys(self) -> bool: ...

    def put(self, key: SoftwareKey) -> None: ...

    def replace(self) -> DeviceKey: ...


def key_place(state_dir: Path, settings: KeySettings) -> PersonsKeyPlace:
    """Where this installation keeps its key; nothing is opened yet."""
    module, pin_file = settings.emulation_key_module, settings.emulation_key_pin_file
    if module is None:
        return KeyFile(state_dir)
    from .pkcs11_key import Pkcs11Keys

    def pin() -> str | None:
        try:
            return None if pin_file is None else pin_file.read_text()
        except IpadError as error:
            raise KeyTrouble(f"the token's PIN: {error.message}", hint=error.hint) from error

    return Pkcs11Keys(module, settings.emulation_key_token, settings.emulation_key_label, pin)
