"""The doctor: what works and what does not, layer by layer, and the one thing to do; and the support bundle."""

from .checks.configured_files import configured_files
from .doctor_items import Item
from .examination import run_alone, run_with
from .examined_rooms import DoctorParts, Face, Parts

__all__ = ["DoctorParts", "Face", "Item", "Parts", "configured_files", "run_alone", "run_with"]
