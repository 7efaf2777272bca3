"""The agent's service: what a caller means by what it was shown."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ipad_agent.agent.card_requests import CardRequests
from ipad_agent.card.errors import CardUnreachable
from ipad_agent.config import Config
from ipad_agent.daemon.local_service import LOOK_LIMIT_S, AgentService
from ipad_agent.errors import IpadError
from ipad_agent.local.local_verbs import Refused
from ipad_agent.local.status_model import Eim
from ipad_agent.modem.errors import PortLost
from ipad_agent.policy import Wake
from situations import SITUATIONS
from virtual_time import run

ODD = "eim\u202e.example"
SHOWN = "eim\ufffd.example"


def service_of(*eim_ids: str) -> tuple[AgentService, list[Any]]:
    poked: list[Any] = []
    status = replace(SITUATIONS["ready"], eims=tuple(Eim(eim_id) for eim_id in eim_ids))
    agent: Any = SimpleNamespace(
        board=SimpleNamespace(snapshot=lambda: status), poke=lambda wake, eim_id: poked.append(eim_id)
    )
    nothing: Any = None
    service = AgentService(agent, Config(), nothing, doctor=nothing, metrics=nothing, recorder=nothing)
    return service, poked


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


# -- commands of a person to the modem ---------------------------------------------------------------------------------


class Line:
    """What went to the modem."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bool]] = []

    async def __call__(self, text: str, *, forced: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        self.sent.append((text, forced))
        return ("+CSQ: 20,99",), "OK"


def service_with(line: Line, *, allowed: bool) -> AgentService:
    nothing: Any = None
    config = replace(Config(), local=replace(Config().local, allow_at=allowed))
    agent: Any = SimpleNamespace(board=nothing)
    return AgentService(agent, config, nothing, doctor=nothing, metrics=nothing, recorder=nothing, send_line=line)


async def test_no_command_goes_to_the_modem_unless_the_configuration_allows_it() -> None:
    line = Line()
    with pytest.raises(Refused, match=r"local\.allow_at is false"):
        await service_with(line, allowed=False).send_at("AT+CSQ", force=True, timeout_s=5)
    assert line.sent == []
    assert Config().local.allow_at is False


async def test_a_question_goes_to_the_modem_and_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    line = Line()
    with caplog.at_level("INFO", "ipad_agent"):
        answer = await service_with(line, allowed=True).send_at(" AT+CSQ", force=False, timeout_s=5)
    assert (answer, line.sent) == ((("+CSQ: 20,99",), "OK"), [("AT+CSQ", False)])
    assert "AT+CSQ; it answered OK" in caplog.text


async def test_what_may_change_the_modem_goes_only_with_force_and_without_its_values_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Line()
    service = service_with(line, allowed=True)
    with pytest.raises(Refused, match=r"Not sent\..*With force it is sent\."):
        await service.send_at('AT+CPIN="4711"', force=False, timeout_s=5)
    assert line.sent == []
    with caplog.at_level("WARNING", "ipad_agent"):
        await service.send_at('AT+CPIN="4711"', force=True, timeout_s=5)
    assert line.sent == [('AT+CPIN="4711"', True)]
    assert "AT+CPIN=" in caplog.text
    assert "4711" not in caplog.text


@pytest.mark.parametrize(
    "text", ['AT+CSIM=10,"0070000001"', "ATD*99#", "AT+CSQ;+CCHC=1", "no command", "AT\r\nAT+CFUN=0"]
)
async def test_what_takes_the_card_away_is_not_sent_with_force_either(text: str) -> None:
    line = Line()
    with pytest.raises(Refused):
        await service_with(line, allowed=True).send_at(text, force=True, timeout_s=5)
    assert line.sent == []


# -- a download by hand ------------------------------------------------------------------------------------------------

CODE = "LPA:1$smdp.example$TOKEN"


def downloader(requests: Any, *, allowed: bool = True) -> tuple[AgentService, list[Wake]]:
    """A service whose card is asked through ``requests``, and what it brought forward."""
    nothing: Any = None
    poked: list[Wake] = []
    config = replace(Config(), download=replace(Config().download, by_hand=allowed))
    board = SimpleNamespace(snapshot=lambda: SITUATIONS["ready"])
    agent: Any = SimpleNamespace(card_requests=requests, board=board, journal=nothing, poke=poked.append)
    return AgentService(agent, config, nothing, doctor=nothing, metrics=nothing, recorder=nothing), poked


async def test_without_a_card_a_download_is_refused_with_why() -> None:
    requests = CardRequests(lambda: None)
    requests.refuse("card: there is none")
    service, poked = downloader(requests)
    with pytest.raises(Refused, match="Card: there is none") as refused:
        await service.download(CODE, confirmation_code=None, rules_accepted=False)
    assert (refused.value.error, poked) == ("NotReady", [])


@pytest.mark.parametrize(
    ("trouble", "name"),
    [
        (PortLost("the port is gone", hint="Check the plug."), "NotReady"),
        (CardUnreachable("no answer", hint="Look."), "CardError"),
    ],
)
def test_what_fails_in_its_turn_is_told_with_the_side_that_failed_and_what_to_do(trouble: IpadError, name: str) -> None:
    async def fails(*_: object) -> None:
        raise trouble

    async def story() -> None:
        requests = CardRequests(lambda: None)
        requests.serve()
        service, _ = downloader(requests)
        asked = asyncio.ensure_future(service.owed())
        await asyncio.sleep(0)
        context: Any = SimpleNamespace(card=SimpleNamespace(retrieve_notifications=fails, get_eid=fails))
        with contextlib.suppress(IpadError):
            await requests.take(context, ())
        with pytest.raises(Refused) as refused:
            await asked
        said = refused.value
        assert (said.error, said.sentence) == (name, f"Not done: {trouble.message}.")
        assert said.facts["hint"] == trouble.hint

    run(story())


async def test_what_is_not_allowed_or_cannot_be_read_never_waits_for_the_card() -> None:
    requests = CardRequests(lambda: None)
    requests.serve()
    with pytest.raises(Refused, match=r"download\.by_hand"):
        await downloader(requests, allowed=False)[0].download(CODE, confirmation_code=None, rules_accepted=False)
    with pytest.raises(Refused, match="fewer than three fields"):
        await downloader(requests)[0].download("LPA:1$a", confirmation_code=None, rules_accepted=False)
    assert not requests.waiting


def test_a_download_that_gets_no_turn_is_given_up_and_not_made_later() -> None:
    async def story() -> None:
        requests = CardRequests(lambda: None)
        requests.serve()
        service, _ = downloader(requests)
        with pytest.raises(Refused, match="busy") as refused:
            await service.download(CODE, confirmation_code=None, rules_accepted=False)
        assert refused.value.error == "Busy"
        context: Any = None  # whoever used it would fail
        assert not await requests.take(context, ())

    run(story())


def test_a_download_that_has_its_turn_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(*_: object, **__: object) -> str:
        await asyncio.sleep(LOOK_LIMIT_S * 20)
        return "89490200009000000011"

    async def story() -> None:
        requests = CardRequests(lambda: None)
        requests.serve()
        service, poked = downloader(requests)
        asked = asyncio.create_task(service.download(CODE, confirmation_code=None, rules_accepted=False))
        await asyncio.sleep(1)
        context: Any = None
        assert await requests.take(context, ())
        assert await asked == "89490200009000000011"
        assert poked == [Wake.RESULT_OWED]

    monkeypatch.setattr("ipad_agent.daemon.download_by_hand.carry_out", slowly)
    run(story())
