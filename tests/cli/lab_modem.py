"""The lab's modem on a pseudo-terminal, in a thread of its own, for commands that are run as they are typed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ipad_agent.lab.euicc import EuiccIdentity, Quirks, VirtualEuicc, default_profiles
from ipad_agent.lab.modem import AtEngine, personality
from ipad_agent.lab.modem.line.modem_pty import PtyModem
from ipad_agent.lab.pki import Pki


class WatchedCard:
    """The lab's card; ``asked`` is set with the first ES10 request."""

    def __init__(self, card: VirtualEuicc) -> None:
        self.card = card
        self.asked = threading.Event()
        self.last_delay_s = 0.0

    def transmit(self, apdu: bytes) -> bytes:
        if apdu[1] == 0xE2:
            self.asked.set()
        return self.card.transmit(apdu)

    def reset(self) -> None:
        self.card.reset()


class LabModem:
    """Use it as a context manager. ``path`` is the port, ``config`` a configuration for commands that only look."""

    def __init__(self, folder: Path, name: str = "eg25") -> None:
        self.path = folder / "modem"
        keys = EuiccIdentity.from_pki(Pki.create(folder / "pki"))
        self.card = WatchedCard(VirtualEuicc(keys, folder / "card.json", Quirks(), profiles=default_profiles()))
        self.engine = AtEngine(self.card, replace(personality(name), card_init_s=0.0, attach_s=0.0))
        self.config = folder / "config.toml"
        text = f'[modem]\nlock_dir = "{folder}"\n[store]\nruntime_dir = "{folder}"\n'
        self.config.write_text(text, encoding="utf-8")
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    async def _serve(self) -> None:
        async with PtyModem(self.engine, self.path):
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> LabModem:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def state(self) -> dict[str, Any]:
        """What a look must leave as it was."""
        module = self.engine.module
        channels, level = module.uicc.open_channels, module.functionality
        return {"settings": asdict(module.settings), "channels": channels, "level": level}
