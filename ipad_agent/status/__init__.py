"""What the agent knows about itself, kept so that a ``Status`` can be made of it at any moment."""

from .board import Board
from .convert import owed_notifications

__all__ = ["Board", "owed_notifications"]
