"""What the daemon tells systemd (sd_notify(3)): ready, how it is doing, alive, stopping. Silent without systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Speaks to the socket named by ``NOTIFY_SOCKET``. Nothing here ever raises: no status line is worth a poll."""

    def __init__(self, environ: Mapping[str, str] | None = None, *, pid: int | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        # "@name" is an abstract socket; other forms (vsock) are not for services of this machine.
        self._address = "\0" + address[1:] if address.startswith("@") else address if address.startswith("/") else ""
        self.watchdog_interval_s = _watchdog_interval_s(environ, os.getpid() if pid is None else pid)
        """How often to call ``watchdog``, half of what systemd allows; None when it does not watch."""

    def ready(self, status: str) -> bool:
        """The daemon is up; True when systemd was told, as for all of these."""
        return self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> bool:
        """The one line that ``systemctl status`` shows."""
        return self._send(f"STATUS={_one_line(text)}")

    def watchdog(self) -> bool:
        """The main loop makes progress."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        """The daemon begins to end."""
        return self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto(message.encode("utf-8", "replace"), self._address)
        except OSError:
            return False
        return True


def _one_line(text: str) -> str:
    # A line break would begin another assignment.
    return " ".join(text.split())


def _watchdog_interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    allowed_us = environ.get("WATCHDOG_USEC", "")
    return int(allowed_us) / 2e6 if allowed_us.isdecimal() and int(allowed_us) > 0 else None
