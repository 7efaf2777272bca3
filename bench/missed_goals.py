"""Why figures miss their goals: one sentence for each, shown beside it for as long as it misses.

A sentence here for a figure that reaches its goal is shown nowhere; one that is missing fails a test.
"""

from __future__ import annotations

from typing import Final

_SERIAL: Final = (
    "on this machine the system's own share (two processes and a pseudo-terminal between them) grows as the line gets "
    "faster; a bare client that only writes the same bytes, told beside it, misses the goal too or by little"
)
_EIMS: Final = (
    "one file has the schedules of all eIMs and is replaced in one step at the begin and the end of each poll; with "
    "eight it has 2.6 kB, which on flash is one block, as a file for each would be"
)
_MEMORY: Final = (
    "Python with asyncio, cryptography and one TLS library has 28 MB before a line of the agent is loaded, and its 330 "
    "modules have 10 more"
)
_START: Final = "0.17 s of it are Python and the TLS library; the rest is 330 modules and the making of their classes"
_IDLE_POLL: Final = (
    "many small things: asyncio, DTLS, the log, the status and the files of the poll (bench/profiles/idle-poll.txt)"
)
_IPACTL: Final = "it is all start of Python and loading of modules; a bare Python stands beside it"
REASONS: Final[dict[str, str]] = {
    "CPU to the end of the first poll": _START,
    "memory at ready": _MEMORY,
    "memory at ready, HTTPS only": f"{_MEMORY}; CoAP and DTLS, which are not loaded, are little of it",
    "memory after 20 downloads more": _MEMORY,
    "CPU of an idle poll": _IDLE_POLL,
    "CPU of an idle poll, much later": _IDLE_POLL,
    "ipactl status": _IPACTL,
    "ipactl --fields verdict.state": _IPACTL,
    "ipactl status --json": _IPACTL,
    "ipactl profiles": _IPACTL,
    "ipactl history": _IPACTL,
    "ipactl log": _IPACTL,
    "growth of eims, calls": _EIMS,
    "growth of eims, bytes written": _EIMS,
    "files written by an idle poll": (
        "that a poll begins must be on the disk before the network is touched, or a device that dies of its polls "
        "would repeat them without back-off; that it ended, or a restart would take it for cut off; and what it cost, "
        "or a budget could be overrun by dying"
    ),
} | {
    f"serial line used, {baud} baud, AT+{way}": _SERIAL for baud in (115200, 460800, 921600) for way in ("CGLA", "CSIM")
}
"""By the name of the figure."""
