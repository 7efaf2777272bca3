"""The state directory on the disk: the journal of what is owed, and last known state. (Recordings, the device's own key
and the figures for Prometheus are files of the rooms that make them.)

Promise: what is about to be done is on disk before it is done, at whatever moment the power goes; what is so already
holds in memory first and reaches the disk as soon as that takes it. Damage is noticed by checksums, reported, and never
keeps the agent from starting, nor does a disk that refuses everything; the caps refuse new work and never drop what is
owed.
"""

from .document_file import DocumentFile
from .emulated_card_file import EmulatedCardFile, EmulatedCardFiles
from .errors import (
    DiskError,
    JournalFullError,
    StateDirectoryBusyError,
    UnknownEntryError,
    UnstorableValueError,
)
from .filesystem import File, Filesystem, RealFilesystem
from .journal import NOTIFICATION, PACKAGE, RESULT, SWITCH, TRIGGER, Journal, Limits
from .journal_format import Entry, EntryId, Stamp
from .json_values import Value
from .state_directory import StateDirectory
from .state_documents import BLOCK_SIZES, CHANNELS, PROFILES, RADIO, SCHEDULE, SESSIONS, VOLATILE, Memory
from .state_lock import StateLock

__all__ = [
    "BLOCK_SIZES",
    "CHANNELS",
    "NOTIFICATION",
    "PACKAGE",
    "PROFILES",
    "RADIO",
    "RESULT",
    "SCHEDULE",
    "SESSIONS",
    "SWITCH",
    "TRIGGER",
    "VOLATILE",
    "DiskError",
    "DocumentFile",
    "EmulatedCardFile",
    "EmulatedCardFiles",
    "Entry",
    "EntryId",
    "File",
    "Filesystem",
    "Journal",
    "JournalFullError",
    "Limits",
    "Memory",
    "RealFilesystem",
    "Stamp",
    "StateDirectory",
    "StateDirectoryBusyError",
    "StateLock",
    "UnknownEntryError",
    "UnstorableValueError",
    "Value",
]
