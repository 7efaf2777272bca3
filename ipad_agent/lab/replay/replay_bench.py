"""The playback put together: the modem on a pty, and where its key is at hand the eIM over CoAP and DTLS."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import cast

from ipad_agent.lab.eim.coap.coaps_server import CoapsServer
from ipad_agent.lab.eim.coap.dtls_context import DtlsSettings
from ipad_agent.lab.eim.eim_identity import EimIdentity
from ipad_agent.lab.modem.at.at_engine import AtEngine
from ipad_agent.lab.modem.line.modem_pty import PtyModem

from .recorded_session import RecordedSession
from .replayed_eim import ReplayedEim
from .replayed_modem import ReplayedModem


class Replay:
    """``modem_path`` is the pty; ``server`` is there when ``identity`` is: the key that the recorded card expects."""

    def __init__(
        self, session: RecordedSession, modem_path: Path, *, identity: EimIdentity | None = None, port: int = 0
    ) -> None:
        self.modem = ReplayedModem(session.modem)
        self.eim = ReplayedEim(session.esipa)
        self.modem_path = modem_path
        # Without news of the packet service the pty asks its engine for a stream of bytes only.
        self._pty = PtyModem(cast(AtEngine, self.modem), modem_path)
        self.server: CoapsServer | None = None
        if identity is not None:
            self.server = CoapsServer(self.eim, dtls=DtlsSettings(identity=identity.tls), port=port)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Replay:
        await self._stack.enter_async_context(self._pty)
        if self.server is not None:
            await self._stack.enter_async_context(self.server)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def missing(self) -> bool:
        """Whether something was asked that was not recorded."""
        return bool(self.modem.not_recorded or self.eim.not_recorded or self.eim.differing)

    def report(self) -> list[str]:
        """What was asked that was not recorded, in sentences."""
        lines = [f"the modem was asked {self.modem.asked} times"]
        lines += [f"not recorded: {command or '(an empty line)'}" for command in dict.fromkeys(self.modem.not_recorded)]
        if self.server is not None:
            lines.append(f"the eIM was asked {len(self.eim.requests)} times; {self.eim.left} recorded answers are left")
            lines += [f"another request than recorded: {text}" for text in self.eim.differing]
            lines += [f"not recorded, of the eIM: {text}" for text in self.eim.not_recorded]
        return lines
