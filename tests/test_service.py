"""The agent's service: what a caller means by what it was shown."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ipad_agent.daemon.local_service import AgentService
from ipad_agent.local.local_verbs import Refused
from ipad_agent.local.status_model import Eim
from situations import SITUATIONS

ODD = "eim\u202e.example"
SHOWN = "eim\ufffd.example"


def service_of(*eim_ids: str) -> tuple[AgentService, list[Any]]:
    poked: list[Any] = []
    status = replace(SITUATIONS["ready"], eims=tuple(Eim(eim_id) for eim_id in eim_ids))
    agent: Any = SimpleNamespace(
        board=SimpleNamespace(snapshot=lambda: status), poke=lambda wake, eim_id: poked.append(eim_id)
    )
    nothing: Any = None
    return AgentService(agent, nothing, nothing, doctor=nothing, metrics=nothing, recorder=nothing), poked


@pytest.mark.parametrize(
    ("known", "wanted", "polled"),
    [
        ((ODD, "other"), ODD, ODD),
        ((ODD, "other"), SHOWN, ODD),
        ((ODD, SHOWN), SHOWN, SHOWN),
        (("other",), None, None),
    ],
)
async def test_an_eim_is_polled_by_its_id_or_by_what_is_shown_of_it(
    known: tuple[str, ...], wanted: str | None, polled: str | None
) -> None:
    service, poked = service_of(*known)
    await service.poll(wanted)
    assert poked == [polled]


@pytest.mark.parametrize("known", [("other",), (ODD, "eim\u2066.example")])
async def test_an_id_that_could_be_nobody_or_two_is_not_guessed(known: tuple[str, ...]) -> None:
    service, poked = service_of(*known)
    with pytest.raises(Refused, match="No eIM is called"):
        await service.poll(SHOWN)
    assert poked == []
