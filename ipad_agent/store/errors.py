"""How the store fails. Nothing here loses what was already acknowledged as stored."""

from __future__ import annotations

import errno

from ipad_agent.errors import Remedy, StoreError

_HINTS = {
    errno.ENOSPC: "The file system is full: free some space; what is owed stays stored and is still delivered.",
    errno.EDQUOT: "The quota of the state directory is used up: raise it or free some space.",
    errno.EROFS: "The file system is read-only: remount it writable, and check the storage for errors.",
    errno.EACCES: "The agent may not write its state directory: it must belong to the agent's user, mode 0700.",
    errno.EPERM: "The agent may not write its state directory: it must belong to the agent's user, mode 0700.",
    errno.EIO: "The storage reports an input/output error: it may be worn out; replace it before it fails entirely.",
}


class DiskError(StoreError):
    """The operating system refused a read or write; the call had no lasting effect that counts as acknowledged."""

    def __init__(self, what: str, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        super().__init__(f"{what}: {reason}", hint=_HINTS.get(error.errno or 0))
        self.errno = error.errno


class JournalFullError(StoreError):
    """Too much is owed already: new work is refused until some of it has been delivered."""

    remedy = Remedy.GIVE_UP
    default_hint = "Results wait for an eIM that does not acknowledge them: check why the eIM cannot be reached."


class UnknownEntryError(StoreError):
    """A journal entry that is not open (any more); the caller lost count."""

    remedy = Remedy.GIVE_UP
    default_hint = "This is a fault of the agent: please report it with the log."


class UnstorableValueError(StoreError):
    """A value no file of the store can hold (only plain data can be stored)."""

    remedy = Remedy.GIVE_UP
    default_hint = "This is a fault of the agent: please report it with the log."


class StateDirectoryBusyError(StoreError):
    """Another process uses the same state directory."""

    default_hint = "Only one agent may run on a state directory: stop the other one or set store.state_dir."
