"""What the SM-DP+ tells the operator of a download: HandleNotification, or HandleDownloadProgressInfo as it was called
before SGP.22 v3 (§5.3.5). Sent in the order it happened, by a thread of its own; nothing waits for it."""

from __future__ import annotations

import json
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from ipad_agent.lab.smdp import es9_json
from ipad_agent.lab.smdp.download_orders import Order
from ipad_agent.lab.smdp.status_words import Status

LOG = logging.getLogger("ipad_agent.lab")

NAMES = {
    "handleNotification": ("notificationEvent", "notificationEventStatus"),
    "handleDownloadProgressInfo": ("notificationPointId", "notificationPointStatus"),
}
"""Function to what it calls the point and its status."""
_DEADLINE_S = 10.0
_KEPT = 200


class Point(IntEnum):
    """Where in a download something happened."""

    ELIGIBILITY = 1
    CONFIRMATION_FAILURE = 2
    PACKAGE_DOWNLOAD = 3
    PACKAGE_INSTALLATION = 4


@dataclass(frozen=True, slots=True)
class Told:
    """One notification and what became of it: ``answer`` is an HTTP status, or why there was none."""

    body: es9_json.Json
    answer: str


class OperatorLink:
    """``url`` is the operator's, up to and with ``/es2plus/``; ``told`` are the latest notifications."""

    def __init__(
        self, url: str, function: str = "handleNotification", *, now: Callable[[], datetime] | None = None
    ) -> None:
        if function not in NAMES:
            raise ValueError(f"{function!r} is none of {', '.join(NAMES)}")
        self.url = url.rstrip("/") + "/" + function
        self.told: deque[Told] = deque(maxlen=_KEPT)
        self._function = function
        self._now = now or (lambda: datetime.now(UTC))
        self._waiting: queue.Queue[es9_json.Json | None] = queue.Queue()
        self._count = 0
        self._thread = threading.Thread(target=self._send_all, daemon=True, name="es2plus")
        self._thread.start()

    def tell(self, order: Order, point: Point, refusal: Status | None = None, eid: str | None = None) -> None:
        """Put a notification behind those that wait."""
        self._count += 1
        point_name, status_name = NAMES[self._function]
        status: dict[str, Any] = {"status": es9_json.SUCCESS if refusal is None else es9_json.FAILED}
        if refusal is not None:
            status["statusCodeData"] = {
                "subjectCode": refusal.subject,
                "reasonCode": refusal.reason,
                "message": refusal.message,
            }
        body: es9_json.Json = {
            "header": {"functionRequesterIdentifier": "lab-smdp", "functionCallIdentifier": f"lab-{self._count}"},
            "iccid": order.package.metadata.iccid,
            "profileType": order.package.metadata.name,
            "timestamp": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            point_name: int(point),
            status_name: status,
        }
        if eid is not None:
            body["eid"] = eid
        self._waiting.put(body)

    def close(self) -> None:
        """Send what waits and end."""
        self._waiting.put(None)
        self._thread.join(_DEADLINE_S + 1)

    def _send_all(self) -> None:
        while (body := self._waiting.get()) is not None:
            answer = self._send(body)
            self.told.append(Told(body, answer))
            LOG.info("ES2+: %s -> %s", self._function, answer)

    def _send(self, body: es9_json.Json) -> str:
        headers = {"Content-Type": "application/json", "X-Admin-Protocol": "gsma/rsp/v2.5.0"}
        try:
            request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
            with urllib.request.urlopen(request, timeout=_DEADLINE_S) as answer:
                return str(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code)
        except (OSError, ValueError) as error:
            return f"not reached: {error}"
