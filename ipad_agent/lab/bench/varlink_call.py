"""A call to the agent's local socket, as any program on the device could make it: Varlink, JSON and a NUL byte."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from ipad_agent.lab.errors import BenchError

from .real_time_limits import scaled

__all__ = ["LocalCallError", "local_call"]

INTERFACE = "io.github.ipadagent"
_MAX_ANSWER_BYTES = 1 << 22


class LocalCallError(BenchError):
    """The agent refused, or nobody answered. ``error`` is its name for that, without the interface's."""

    def __init__(self, sentence: str, error: str = "") -> None:
        super().__init__(sentence)
        self.error = error


async def local_call(path: Path, method: str, *, deadline_s: float = 20.0, **parameters: Any) -> dict[str, Any]:
    """Call ``method`` of the agent's interface; the parameters of its answer. Raises ``LocalCallError``."""
    request = {"method": f"{INTERFACE}.{method}", "parameters": parameters}
    try:
        async with asyncio.timeout(scaled(deadline_s)):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=_MAX_ANSWER_BYTES)
            try:
                writer.write(json.dumps(request).encode() + b"\0")
                await writer.drain()
                data = await reader.readuntil(b"\0")
            finally:
                writer.close()
        answer = json.loads(data[:-1])
    except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise LocalCallError(f"{method}: no answer from {path}: {error or type(error).__name__}") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("parameters", {}), dict):
        raise LocalCallError(f"{method}: the answer is none: {data[:80]!r}")
    found = answer.get("parameters") or {}
    if "error" in answer:
        raise LocalCallError(
            f"{method} was refused: {answer['error']} {found}", str(answer["error"]).rpartition(".")[2]
        )
    return dict(found)
