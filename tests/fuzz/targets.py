"""The one table of everything that reads what comes from outside. A new parser belongs into one of its parts."""

from __future__ import annotations

from itertools import chain
from typing import Final

from . import targets_codec, targets_lab, targets_local, targets_modem, targets_net, targets_store
from .target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in chain(
        targets_codec.targets(),
        targets_modem.targets(),
        targets_net.targets(),
        targets_store.targets(),
        targets_local.targets(),
        targets_lab.targets(),
    )
}
