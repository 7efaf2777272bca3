"""Modem, card, and what this IPA is: sections of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent.records import dataclass

from .secret_file import SecretFile
from .value_readers import PORT_NUMBER, Aid, FilePath, Flag, Integer, ListOf, Number, Secret, Text, choices, key

_PORT: Final = rf"auto|gsmctl|pcsc(?::[^\x00-\x1f\x7f]+)?|/[^\x00-\x1f\x7f]+|socket://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):{PORT_NUMBER}"

_TECHNOLOGIES: Final = (
    "gsm|utran|cdma2000_onex|cdma2000_hrpd|cdma2000_ehrpd|eutran_epc|nr_epc|nr_5gc|eutran_5gc"  # as in module profiles
)

IPA_FEATURES: Final = (
    "eim_download_data_handling",
    "eim_ctx_params1_generation",
    "eim_profile_metadata_verification",
    "minimize_esipa_bytes",
)


@dataclass(frozen=True, slots=True)
class ModemConfig:
    """The modem and the serial port to it."""

    port: str = key(
        Text('"auto", a device such as "/dev/ttyUSB2", "socket://host:port", "gsmctl", or "pcsc"', _PORT),
        "auto",
        "Where AT commands go. `auto` takes the AT port of the one known modem on the USB (see hw/README.md), or "
        "`/dev/ipad-agent-modem` when udev made that link. `socket://` is a serial port behind a TCP server, for "
        "benches: whoever reaches that server owns the modem. `gsmctl` is for Teltonika's RutOS, whose service keeps "
        "all ports: each command goes through its program. Not tried on a router. `pcsc` is a card in a PC/SC reader "
        "on the desk, `pcsc:NAME` in the reader with that in its name (`pip install ipad-agent[pcsc]`): without a "
        "network of the modem's own.",
    )
    baud: int = key(
        Integer(1200, 4_000_000), 115_200, "Speed of a real UART; USB ports ignore it, ports of most modules follow it."
    )
    fast_baud: int | None = key(
        Integer(9600, 4_000_000),
        None,
        "The speed up to which a real UART is raised with AT+IPR while the agent has the port, such as 921600, where "
        "the module's profile knows that it can. Not unless somebody decides it: a fast line wants RTS/CTS or short "
        "wires, and whoever else uses the UART expects `baud`. A speed that fails is left again and not tried with "
        "this firmware any more, until this value is changed; modules that keep their speed over a restart need "
        "`allow_nvm_writes` too. It saves 10 s of a download of 60 kB, of which the line takes 12 s at 115200.",
    )
    rtscts: bool = key(
        Flag(),
        False,
        "Whether the UART's RTS and CTS are wired and keep either side from sending more than the other can take. The "
        "module must use them too (`AT+IFC=2,2`, as one of `init.commands` in its profile); wires that are not there "
        "stop the line.",
    )
    profile: str = key(
        Text('"auto" or the name of a module profile', r"[A-Za-z0-9][A-Za-z0-9_.+-]*"),
        "auto",
        "Which module profile to use; `auto` asks the module who it is.",
    )
    profiles_dir: Path | None = key(
        FilePath("a folder"),
        None,
        "More module profiles (`*.toml`), looked at before those that come with the agent. Without it, those in "
        "`/etc/ipad-agent/modems` are.",
    )
    transport: str = key(
        choices(("auto", "cgla", "csim")),
        "auto",
        "How APDUs travel: AT+CGLA, AT+CSIM, or whichever the profile and the module offer.",
    )
    lock_dir: Path = key(
        FilePath("a folder"), Path("/run/lock"), "Where port locks are kept that other programs respect."
    )
    inhibit_modem_manager: bool = key(
        Flag(),
        False,
        "Whether ModemManager is asked to let go of the modem while the agent uses its port, for modems with one AT "
        "port. The data connection of the modem ends each time, so it is for devices that reach their eIM another way "
        "too, and that leave `site.interface` unset (see docs/modemmanager.md). The port is given back after each "
        "piece of work.",
    )
    restore_function: bool = key(
        Flag(),
        True,
        "Whether a modem found with its radio switched off (AT+CFUN=0 or 4) is switched on; usually a card reset was "
        "interrupted half-way.",
    )
    apn_context: int | None = key(
        Integer(1, 16),
        None,
        "The PDP context that gets the APN of a new profile (AT+CGDCONT), for devices without a connection manager "
        "that a hook could tell. Modules keep it in their flash, so `allow_nvm_writes` must be set too.",
    )
    apn_authentication: str = key(
        choices(("chap", "pap")),
        "chap",
        "How user name and password are given to the network (AT+CGAUTH), where a profile's connectivity parameters "
        "name them and `apn_context` is set.",
    )
    slot: int | None = key(
        Integer(1, 4),
        None,
        "The card slot of the module that holds the eUICC, counted from 1. It is chosen where the module says that "
        "another one is in use; modules keep it in their flash, so `allow_nvm_writes` must be set too.",
    )
    allow_nvm_writes: bool = key(
        Flag(),
        False,
        "Whether commands may be sent that write the module's flash (slot selection, settings). They wear it out and "
        "outlive the agent.",
    )


@dataclass(frozen=True, slots=True)
class CardConfig:
    """The eUICC."""

    isdr_aids: tuple[bytes, ...] = key(
        ListOf(Aid(), least=1),
        (bytes.fromhex("A0000005591010FFFFFFFF8900000100"),),
        "Applications tried as ISD-R, in this order. The default is the one of GSMA; some removable cards have others.",
    )
    terminal_capability: str = key(
        choices(("always", "auto", "never")),
        "always",
        "Whether to tell the card that this device holds an IPAd (TERMINAL CAPABILITY): `always` before the first "
        "channel after each reset, as SGP.32 wants it; `auto` only when the ISD-R is refused. A card may refuse it.",
    )
    take_from_ipae: bool = key(
        Flag(),
        False,
        "Whether to insist on a card that says that its own IPAe is active: it is reset, the IPAe is switched off, and "
        "the card is managed even if it goes on saying so. Without it such a card is told once that this device holds "
        "an IPAd, looked at again, and then left alone.",
    )
    emulate_iot: str = key(
        choices(("never", "when-needed", "always")),
        "never",
        "Whether this device emulates the IoT functions of SGP.32 in front of a consumer card (SGP.22), so that an eIM "
        "can manage it: `when-needed` for a card that has none, `always` for benches. Results are then signed by a key "
        "of this device and not by the card; what that proves, and how the eIM gets to know the key, is in "
        "[emulation](emulation.md). Not unless somebody decides it: such a card may have an owner who manages it by "
        "other means.",
    )
    emulation_key_module: Path | None = key(
        FilePath("a PKCS#11 library"),
        None,
        "The PKCS#11 library of a token that holds the device key of emulated cards, for example that of tpm2-pkcs11 "
        "in front of a TPM 2.0; needs python3-pykcs11 or `pip install ipad-agent[pkcs11]`. Without one the key is a "
        "file in the state directory. See [emulation](emulation.md).",
    )
    emulation_key_token: str = key(Text("a token's label"), "ipad-agent", "The label of that token.")
    emulation_key_label: str = key(
        Text("a key's label"),
        "ipad-agent",
        "The label of the key in that token. It is made there when it is needed for the first time.",
    )
    emulation_key_pin_file: SecretFile | None = key(
        Secret(), None, "File with that token's PIN; never the PIN itself. May be a credential of systemd."
    )
    apdu_timeout_s: float = key(Number(1, 600), 60.0, "How long one APDU may take; the card may be working.")
    last_block_timeout_s: float = key(
        Number(1, 1800), 240.0, "The same for the last block of a chain, where the card does the work of all of it."
    )
    recover_timeout_s: float = key(
        Number(5, 1800),
        300.0,
        "How long to try to get the card back after a reset before giving up this attempt.",
    )


@dataclass(frozen=True, slots=True)
class ProvisioningConfig:
    """The first eIM of a card that has none."""

    initial_eim: Path | None = key(
        FilePath("a file"),
        None,
        "An AddInitialEim request, or the EimConfigurationData for one (DER), given to a card without any eIM.",
    )
    bundle: Path | None = key(
        FilePath("a file"),
        None,
        "A provisioning bundle (`eim-ipad-provision/1`) that an eIM issued: its configuration, and the key by which "
        "this device signs for an emulated card (see docs/emulation.md). It is used once, and removed then, so it "
        "belongs into a folder where the agent's user may remove files, such as `/var/lib/ipad-agent`. It holds a "
        "private key: mode 0600. An IoT eUICC takes the configuration alone.",
    )
    allow: bool = key(Flag(), True, "Whether the agent may give the card its first eIM at all.")


@dataclass(frozen=True, slots=True)
class IpaConfig:
    """What this IPA tells about itself."""

    features: tuple[str, ...] = key(
        ListOf(choices(IPA_FEATURES)),
        (),
        "What an eIM may take over from this IPA (bits of ipaFeatures): it acts on them. Whether profiles can be "
        "downloaded directly and through the eIM is announced as it is. With `minimize_esipa_bytes` this IPA leaves "
        "out what an eIM was told before, once that eIM has asked for the device's data and so heard of it: "
        "certificates, euiccInfo2 and what both saw of a download. Without downloads through the eIM nothing can be "
        "taken over.",
    )
    imei: str | None = key(
        Text("14 to 16 digits", r"[0-9]{14,16}"), None, "The IMEI to tell; normally the module is asked for it."
    )
    tac: str | None = key(
        Text("8 digits", r"[0-9]{8}"),
        None,
        "The type allocation code to tell (the first eight digits of the IMEI) where the module hides its IMEI. "
        "Without one it is eight zeros, which some SM-DP+s do not take.",
    )
    releases: tuple[str, ...] = key(
        ListOf(Text('a technology and its 3GPP release, such as "eutran_epc=13"', rf"(?:{_TECHNOLOGIES})=[1-9][0-9]?")),
        (),
        "Which radio technologies the device supports, up to which release: `gsm`, `utran`, `eutran_epc` (LTE, NB-IoT, "
        "LTE-M), `nr_epc`, `nr_5gc`, `eutran_5gc`, `cdma2000_onex`, `cdma2000_hrpd`, `cdma2000_ehrpd`. SM-DP+s choose "
        "profiles by it. Empty: as the module's profile says.",
    )
