"""What the agent knows about itself, kept so that a ``Status`` can be made of it at any moment."""

from . import event_reactions as _event_reactions  # noqa: F401 - fills what the board reacts to
from . import history_reactions as _history_reactions  # noqa: F401 - and its history
from .model_conversion import owed_notifications
from .status_board import Board

__all__ = ["Board", "owed_notifications"]
