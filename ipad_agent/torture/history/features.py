"""What a history may have besides the usual: each is switched on by its name, alone or with others.

``ipad-agent lab torture --with direct-download,https``. The history of a seed without features is the same whatever
features there are, and one feature more adds its own deeds and leaves all others as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DIRECT_DOWNLOAD: Final = "direct-download"
SECURED_WEB: Final = "https"
SITE_SCRIPTS: Final = "site-scripts"
DISK_REFUSES: Final = "disk-refuses"
NO_EIM: Final = "no-eim"
PORT_NAME: Final = "port-name"
MODEM_STUCK: Final = "modem-stuck"
PERSON: Final = "person"
EIM_ERRORS: Final = "eim-errors"
EMULATED: Final = "emulated"
HALF_EMULATED: Final = "half-emulated"

FEATURES: Final[Mapping[str, str]] = {
    DIRECT_DOWNLOAD: "profiles are downloaded from the SM-DP+ itself, which may fail",
    SECURED_WEB: "eIMs are reached by HTTPS, with real TLS over a TCP in memory",
    SITE_SCRIPTS: "the site's scripts are slow or hang, hold work back and prove a profile",
    DISK_REFUSES: "the disk refuses everything for a while, also while a profile has to prove itself",
    NO_EIM: "no eIM is on the card at the beginning; a provisioning file may be there",
    PORT_NAME: "the modem's port has another name whenever it comes back",
    MODEM_STUCK: "the modem searches for ever until it is restarted, or its radio switched off and on",
    PERSON: "somebody on the device changes the profile, takes switches back or keeps them, and downloads",
    EIM_ERRORS: "for a while eIMs answer with 4xx, 5xx or an undefined error at random",
    EMULATED: "the card is a consumer card, and the agent emulates its IoT functions",
    HALF_EMULATED: "so it is in half of the histories; in the others the card is an IoT card",
}
DEFAULT: Final = frozenset({DIRECT_DOWNLOAD, SECURED_WEB, SITE_SCRIPTS, PORT_NAME})
"""What is switched on when nobody says what."""
ALL: Final = frozenset(FEATURES) - {EMULATED}
"""Everything, and both kinds of cards: which of them a history has follows from its seed."""
NONE: Final[frozenset[str]] = frozenset()


def parse(text: str) -> frozenset[str]:
    """Names with commas between them, or ``all`` or ``none``. ``ValueError`` for a name that does not exist."""
    if text == "all":
        return ALL
    names = frozenset(filter(None, (name.strip() for name in text.split(",")))) - {"none"}
    unknown = sorted(names - FEATURES.keys())
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: none of {', '.join(FEATURES)}")
    return names
