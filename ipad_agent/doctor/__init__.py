"""The doctor: what works and what does not, layer by layer, and the one thing to do; and the support bundle."""

from .items import Item
from .parts import DoctorParts, Face, Parts
from .run import run_alone, run_with

__all__ = ["DoctorParts", "Face", "Item", "Parts", "run_alone", "run_with"]
