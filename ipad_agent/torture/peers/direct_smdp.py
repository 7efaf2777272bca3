"""Downloads from the SM-DP+ itself: its HTTPS face, without the HTTPS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from base64 import b64decode
from collections.abc import Sequence
from typing import Final

from ipad_agent.lab.crypto import der
from ipad_agent.lab.http import Request
from ipad_agent.lab.smdp import VirtualSmdp
from ipad_agent.lab.smdp.errors import MalformedError
from ipad_agent.lab.smdp.received_notifications import read_notification
from ipad_agent.lab.smdp.smdp_faults import NOTIFY
from ipad_agent.lab.smdp.smdp_https import PATH, Front
from ipad_agent.net import PeerStatus, ProgressCallback, TransferTimeout, Unreachable
from ipad_agent.records import dataclass
from ipad_agent.smdp import SmdpClient
from ipad_agent.torture.history.history_log import SMDP, HistoryLog
from ipad_agent.torture.world.ground_truth import GroundTruth
from ipad_agent.torture.world.process_fence import ProcessFence
from ipad_agent.torture.world.simulated_network import SimulatedNetwork

HOST: Final = "smdp.lab.example"
_ROUND_TRIP_S: Final = 0.1
_PATIENCE_S: Final = 60.0
_HEADERS: Final = (("Content-Type", "application/json"), ("X-Admin-Protocol", "gsma/rsp/v2.1.0"))


class SmdpDesk:
    """The SM-DP+ with somebody who writes down what it takes."""

    def __init__(self, smdp: VirtualSmdp, ground_truth: GroundTruth, log: HistoryLog) -> None:
        self.smdp = smdp
        self._front = Front(smdp)
        self._ground_truth = ground_truth
        self._log = log

    def post(self, function: str, body: bytes) -> tuple[int, bytes] | None:
        """Status and body of the answer; None when the connection is torn down instead."""
        name = function[0].lower() + function[1:]
        response = self._front(Request("POST", PATH + name, headers=_HEADERS, body=body))
        said = f"{response.status}" if response.answer else "no answer"
        self._log.tell(SMDP, f"{name}: {said}")
        if not response.answer:
            return None
        if name == NOTIFY and 200 <= response.status < 300:
            with contextlib.suppress(ValueError, KeyError, MalformedError, der.DerError):
                record = read_notification(b64decode(json.loads(body)["pendingNotification"]))
                self._ground_truth.took_notifications({record.sequence_number})
        return response.status, response.body


class DirectConnector:
    """Implements ``SmdpConnector`` for one process."""

    def __init__(
        self, observed_eim: SmdpDesk, network: SimulatedNetwork, owner: ProcessFence, dice: random.Random
    ) -> None:
        self._observed_eim, self._network, self._owner, self._dice = observed_eim, network, owner, dice

    def connect(self, address: str, *, ci_pkids: Sequence[bytes]) -> SmdpClient:
        return SmdpClient(_DirectCarrier(self._observed_eim, self._network, self._owner, self._dice, address), address)


@dataclass
class _DirectCarrier:
    """Implements ``WatchedCarrier``."""

    observed_eim: SmdpDesk
    network: SimulatedNetwork
    owner: ProcessFence
    dice: random.Random
    host: str
    scheme = "https"
    bytes_sent = 0
    bytes_received = 0

    async def reach(self) -> None:
        self.owner.check()
        await asyncio.sleep(_ROUND_TRIP_S / 2)
        self.owner.check()
        if not self.network.passes or self.host != HOST:
            await asyncio.sleep(_PATIENCE_S)
            raise Unreachable("nobody answers")

    async def exchange(self, body: bytes, *, function: str, progress: ProgressCallback | None = None) -> bytes:
        await self.reach()
        loss = self.network.weather.loss / 3
        if loss and self.dice.random() < loss:
            await asyncio.sleep(_PATIENCE_S)
            raise TransferTimeout("the request was lost")
        answer = self.observed_eim.post(function, body)
        await asyncio.sleep(_ROUND_TRIP_S / 2)
        self.owner.check()
        if answer is None or not self.network.passes or (loss and self.dice.random() < loss):
            await asyncio.sleep(_PATIENCE_S)
            raise TransferTimeout("the answer was lost")
        status, content = answer
        if not 200 <= status < 300:
            raise PeerStatus(str(status), "", body=content)
        if progress is not None:
            progress(len(content), len(content))
        return content

    async def close(self) -> None:
        self.owner.check()
