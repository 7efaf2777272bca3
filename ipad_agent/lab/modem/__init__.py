"""A modem that is not there: an AT engine with a card in it, as a byte stream or on a pty.

    engine = AtEngine(card, personality("eg25"))
    engine.feed(b"AT+CCHO=\\"A0000005591010FFFFFFFF8900000100\\"\\r")

Its manners are those reported of real modules; every one is a switch of ``ModemOptions``.
"""

from __future__ import annotations

from ipad_agent.lab.modem.at.at_engine import AtEngine

from .card_interface import Card
from .modem_options import Cell, Coverage, Fault, ModemOptions, SlotSetting, Uart
from .module_personality import PERSONALITIES, SHORT_NAMES, manners, personality
from .virtual_module import LinkChanged, Module, Output, PortBack, PortLost, Send

__all__ = [
    "PERSONALITIES",
    "SHORT_NAMES",
    "AtEngine",
    "Card",
    "Cell",
    "Coverage",
    "Fault",
    "LinkChanged",
    "ModemOptions",
    "Module",
    "Output",
    "PortBack",
    "PortLost",
    "Send",
    "SlotSetting",
    "Uart",
    "manners",
    "personality",
]
