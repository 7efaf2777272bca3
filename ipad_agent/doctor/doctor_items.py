"""What the doctor says: items per layer, in the order in which the layers stand on each other."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from ipad_agent.records import dataclass


class Layer(StrEnum):
    """In the order in which they are looked at."""

    CONFIG = "config"
    DISK = "disk"
    PERMISSIONS = "permissions"
    CLOCK = "clock"
    TLS = "tls"
    FACES = "faces"
    USB = "usb"
    PORT = "port"
    AT = "at"
    MODEM = "modem"
    SIM = "sim"
    ISDR = "isd-r"
    EUICC = "euicc"
    REGISTRATION = "registration"
    CI = "ci"
    ASSOCIATION = "association"
    DNS = "dns"
    ROUTE = "route"
    HANDSHAKE = "handshake"
    EIM = "eim"
    VERDICT = "verdict"


TITLES: Final = {
    Layer.CONFIG: "the configuration",
    Layer.DISK: "the state directory",
    Layer.PERMISSIONS: "permissions",
    Layer.CLOCK: "the clock",
    Layer.TLS: "the TLS library",
    Layer.FACES: "the local interfaces",
    Layer.USB: "the modem on the USB",
    Layer.PORT: "the serial port",
    Layer.AT: "AT commands",
    Layer.MODEM: "the modem",
    Layer.SIM: "the SIM",
    Layer.ISDR: "the ISD-R",
    Layer.EUICC: "the eUICC",
    Layer.REGISTRATION: "the mobile network",
    Layer.CI: "the certificates for SM-DP+s",
    Layer.ASSOCIATION: "the eIM on the card",
    Layer.DNS: "the name of the eIM",
    Layer.ROUTE: "the way to the eIM",
    Layer.HANDSHAKE: "the secure session",
    Layer.EIM: "the eIM",
}

NEEDS: Final = {
    Layer.PORT: (Layer.USB,),
    Layer.AT: (Layer.PORT,),
    Layer.MODEM: (Layer.AT,),
    Layer.SIM: (Layer.AT,),
    Layer.ISDR: (Layer.AT,),
    Layer.EUICC: (Layer.ISDR,),
    Layer.REGISTRATION: (Layer.AT,),
    Layer.ASSOCIATION: (Layer.EUICC,),
    Layer.DNS: (Layer.ASSOCIATION,),
    Layer.ROUTE: (Layer.DNS,),
    Layer.HANDSHAKE: (Layer.ROUTE,),
    Layer.EIM: (Layer.HANDSHAKE,),
}
"""Without what a layer has nothing to say."""

AGENT_BUSY: Final = "Not checked: the agent is busy with the modem and the card."
"""Said of every layer that needs them while a profile has to prove itself, or a download is under way."""

URGENCY: Final = (
    Layer.CONFIG,
    Layer.DISK,
    Layer.PERMISSIONS,
    Layer.USB,
    Layer.PORT,
    Layer.AT,
    Layer.MODEM,
    Layer.SIM,
    Layer.ISDR,
    Layer.EUICC,
    Layer.ASSOCIATION,
    Layer.TLS,
    Layer.REGISTRATION,
    Layer.DNS,
    Layer.ROUTE,
    Layer.CLOCK,
    Layer.HANDSHAKE,
    Layer.EIM,
    Layer.CI,
    Layer.FACES,
)
"""Of several things that are wrong the first here is the one to be done: it may be the cause of the others."""


@dataclass(frozen=True, slots=True)
class Item:
    """One finding. ``ok`` None: it was not checked, cannot be told from here, or is no matter of right and wrong.
    ``fix`` is what a person can do."""

    layer: Layer
    ok: bool | None
    sentence: str
    fix: str | None = None

    def plain(self) -> dict[str, object]:
        """The JSON form."""
        return {"layer": self.layer.value, "ok": self.ok, "sentence": self.sentence, "fix": self.fix}

    def line(self) -> str:
        """For people."""
        mark = {True: "ok  ", False: "FAIL", None: "-   "}[self.ok]
        return f"{mark} {self.layer.value}: {self.sentence}" + (f" Fix: {self.fix}" if self.fix else "")


def verdict(items: Sequence[Item]) -> Item:
    """The last item: the one thing to do."""
    wrong = [item for item in items if item.ok is False]
    if wrong:
        first = min(wrong, key=lambda item: URGENCY.index(item.layer))
        more = f" ({len(wrong)} things are wrong; begin with this one)" if len(wrong) > 1 else ""
        return Item(Layer.VERDICT, False, first.sentence + more, first.fix or "Run the doctor again in a minute.")
    if any(item.sentence == AGENT_BUSY for item in items):
        sentence = "Nothing is wrong as far as was checked; the modem, the card and the eIM were not."
        return Item(Layer.VERDICT, True, sentence, "Run the doctor again when the agent is done; see `ipactl status`.")
    fine = {item.layer for item in items if item.ok}
    untold = [TITLES[item.layer] for item in items if item.ok is None and item.layer not in fine]
    if untold:
        listed = ", ".join(dict.fromkeys(untold))
        return Item(Layer.VERDICT, True, f"Nothing is wrong as far as was checked; not checked: {listed}.")
    return Item(Layer.VERDICT, True, "Nothing is wrong.")


def as_sentence(message: str) -> str:
    """The words of an error as a sentence."""
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")
