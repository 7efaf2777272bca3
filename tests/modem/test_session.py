from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipad_agent.modem import commands
from ipad_agent.modem.at.at_parser import MAX_LINE_BYTES
from ipad_agent.modem.at.at_session import AtSession
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged, LinkDead, PortContention, PortLost
from virtual_time import run

from .fakes import FakeModem, Later, framed

APDU = bytes.fromhex("80E2910006BF3E035C015A")
CGLA = commands.generic_access("1", APDU, deadline_s=60)
CSIM = commands.sim_access(APDU, deadline_s=60)


async def opened(modem: FakeModem) -> AtSession:
    return AtSession(await modem.open())


def test_a_command_gives_the_lines_of_its_answer() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", '+CGLA: 4,"9000"|OK')
        assert await (await opened(modem)).run(CGLA) == ('+CGLA: 4,"9000"',)

    run(scene())


def test_a_refusal_tells_the_number_and_never_the_traffic() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", "+CME ERROR: 13")
        with pytest.raises(CommandRefused) as caught:
            await (await opened(modem)).run(CGLA)
        assert caught.value.cme == 13
        assert "SIM failure" in str(caught.value)
        assert "BF3E" not in str(caught.value)

    run(scene())


def test_commands_of_two_tasks_go_one_after_the_other() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", Later(1, '+CGLA: 4,"9000"|OK'))
        modem.on("AT+CSIM", '+CSIM: 4,"6A82"|OK')
        session = await opened(modem)
        first, second = await asyncio.gather(session.run(CGLA), session.run(CSIM))
        assert (first, second) == (('+CGLA: 4,"9000"',), ('+CSIM: 4,"6A82"',))

    run(scene())


def test_a_silent_modem_ends_in_a_timeout_at_the_deadline() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", None)
        session = await opened(modem)
        start = asyncio.get_running_loop().time()
        with pytest.raises(CommandTimeout):
            await session.run(CGLA, deadline_s=7)
        assert asyncio.get_running_loop().time() - start == pytest.approx(7, abs=0.01)

    run(scene())


@pytest.mark.parametrize("late_s", [5.5, 6.5, 7.4, 8.5, 9.9, 14.9])
def test_a_late_answer_is_never_taken_for_that_of_the_next_command(late_s: float) -> None:
    """The same command with another answer, so that nothing but being in step tells the two apart. A modem works
    one command after the other: what comes in while it is busy waits."""

    async def scene() -> None:
        modem = BusyModem(busy_until_s=late_s)
        session = AtSession(await modem.open())
        with pytest.raises(CommandTimeout):
            await session.run(CGLA, deadline_s=5)
        assert await session.run(CGLA) == ('+CGLA: 4,"6A88"',)
        assert await session.run(CGLA) == ('+CGLA: 4,"6A88"',)

    run(scene())


class BusyModem(FakeModem):
    """Is busy with its first APDU for a while and answers everything later in the order it came."""

    def __init__(self, busy_until_s: float) -> None:
        super().__init__()
        self._busy_until_s = busy_until_s
        self._start: float | None = None

    def answer(self, command: str) -> Later | str:
        now = asyncio.get_running_loop().time()
        if command.startswith("AT+CGLA"):
            if self._start is None:
                self._start = now
                return Later(self._busy_until_s, '+CGLA: 4,"9000"|OK')
            reply = '+CGLA: 4,"6A88"|OK'
        else:
            reply = "OK"
        assert self._start is not None
        return Later(max(0.0, self._start + self._busy_until_s - now), reply)


@pytest.mark.parametrize("spacing_s", [0.1, 0.3, 0.6, 0.9])
def test_answers_that_trickle_in_late_are_all_waited_for(spacing_s: float) -> None:
    """Five questions unanswered, then one answer after the other."""

    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", [None, Later(3, '+CGLA: 4,"6A88"|OK')])
        asked = 0

        def slowly(_: str) -> Later:
            nonlocal asked
            asked += 1
            return Later(3.5 + asked * spacing_s if asked < 5 else 0, "OK")

        modem.on("AT", slowly)
        session = await opened(modem)
        with pytest.raises(CommandTimeout):
            await session.run(CGLA, deadline_s=5)
        assert await session.run(CGLA) == ('+CGLA: 4,"6A88"',)

    run(scene())


def test_in_step_means_that_one_question_gets_one_answer() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", [None, Later(1, '+CGLA: 4,"6A88"|OK')])
        session = await opened(modem)
        with pytest.raises(CommandTimeout):
            await session.run(CGLA, deadline_s=5)
        loop = asyncio.get_running_loop()

        def trickle(_: str) -> str:
            modem.on("AT", "OK")
            loop.call_later(0.1, modem.say, "OK")
            loop.call_later(0.45, modem.say, "OK")
            return "OK"

        modem.on("AT", trickle)
        assert await session.run(CGLA) == ('+CGLA: 4,"6A88"',)

    run(scene())


def test_an_answer_to_an_earlier_command_fails_the_one_in_flight_instead_of_feeding_it() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CSIM", '+CSIM: 4,"9000"|OK')
        modem.on("AT+CGLA", '+CSIM: 4,"9000"|OK')
        session = await opened(modem)
        await session.run(CSIM)
        with pytest.raises(LineDamaged):
            await session.run(CGLA)

    run(scene())


def test_a_cancelled_command_leaves_no_answer_behind() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", [Later(1, '+CGLA: 4,"9000"|OK'), Later(1, '+CGLA: 4,"6A88"|OK')])
        session = await opened(modem)
        task = asyncio.ensure_future(session.run(CGLA))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await session.run(CGLA) == ('+CGLA: 4,"6A88"',)

    run(scene())


def test_unsolicited_results_reach_every_subscriber_also_in_the_middle_of_an_answer() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", b'\r\n+QUSIM: 1\r\n\r\n+CGLA: 4,"9000"\r\n\r\n+CEREG: 5\r\n\r\nOK\r\n')
        session = await opened(modem)
        heard: list[str] = []
        unsubscribe = session.subscribe(heard.append)
        assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)
        unsubscribe()
        modem.say("+CEREG: 2")
        assert heard == ["+QUSIM: 1", "+CEREG: 5"]

    run(scene())


def test_waiting_for_an_event_ends_with_it_with_the_deadline_or_with_the_port() -> None:
    async def scene() -> None:
        modem = FakeModem()
        session = await opened(modem)
        pattern = re.compile(r"\+QUSIM: 1")
        loop = asyncio.get_running_loop()
        loop.call_later(3, modem.say, "+QUSIM: 1")
        assert await session.wait_for(pattern, deadline_s=10) == "+QUSIM: 1"
        assert await session.wait_for(pattern, deadline_s=10) is None
        loop.call_later(3, modem.unplug)
        with pytest.raises(PortLost):
            await session.wait_for(pattern, deadline_s=10)

    run(scene())


def test_another_programs_answer_during_a_command_is_contention() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", [b"\r\n+QGPS: (1-4)\r\n\r\nOK\r\n", '+CGLA: 4,"9000"|OK'])
        session = await opened(modem)
        with pytest.raises(PortContention, match="QGPS"):
            await session.run(CGLA)
        assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)
        assert session.contentions == 1

    run(scene())


def test_another_programs_answer_between_commands_is_told_at_the_next_one() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", '+CGLA: 4,"9000"|OK')
        session = await opened(modem)
        modem.say("+QGPS: (1-4)|OK")
        with pytest.raises(PortContention):
            await session.run(CGLA)
        assert modem.sent("AT+CGLA") == []
        assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)

    run(scene())


def test_echo_that_comes_back_is_tolerated_and_switched_off_again() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", '+CGLA: 4,"9000"|OK')
        session = await opened(modem)
        modem.echo = True
        assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)
        assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)
        assert modem.commands[-2] == "ATE0"
        assert modem.echo is False

    run(scene())


def test_a_modem_that_insists_on_echoing_is_left_alone_after_some_tries() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("ATE0", "ERROR")
        modem.on("AT+CGLA", lambda command: command.encode() + b"\r" + framed('+CGLA: 4,"9000"|OK'))
        session = await opened(modem)
        for _ in range(20):
            assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)
        assert len(modem.sent("ATE0")) == 5

    run(scene())


def test_a_prompt_is_escaped_before_anything_else_is_sent() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", [b"\r\n> ", '+CGLA: 4,"9000"|OK'])
        session = await opened(modem)
        with pytest.raises(LineDamaged):
            await session.run(CGLA)
        count = len(modem.raw_writes)
        assert await session.run(CGLA) == ('+CGLA: 4,"9000"',)
        assert modem.raw_writes[count] == b"\x1b"

    run(scene())


@pytest.mark.parametrize("behind", [b"\r\nOK\r\n", b"> ", b"\r\nOK\r\n> "])
def test_a_result_said_twice_or_with_a_prompt_behind_it_is_one_result(behind: bytes) -> None:
    async def scene() -> None:
        modem = FakeModem()
        for command in ("AT", "ATE0V1"):
            modem.on(command, lambda _: framed("OK") + behind)
        modem.on("AT+CGLA", lambda _: framed('+CGLA: 4,"9000"|OK') + behind)
        session = await opened(modem)
        await session.resync()
        writes = len(modem.raw_writes)
        assert [await session.run(CGLA) for _ in range(3)] == [('+CGLA: 4,"9000"',)] * 3
        assert len(modem.raw_writes) == writes + 3, "the line was in step all the time"
        assert session.trailing_lines > 0

    run(scene())


def test_a_result_said_twice_in_two_pieces_is_neither_another_programs_nor_that_of_the_next_command() -> None:
    async def scene() -> None:
        modem = FakeModem()
        loop = asyncio.get_running_loop()

        def twice(answer: str) -> Callable[[str], str]:
            def say(_: str) -> str:
                loop.call_later(0.002, modem.say, "OK")
                return answer

            return say

        for command, answer in (("AT", "OK"), ("ATE0V1", "OK"), ("AT+CGLA", '+CGLA: 4,"9000"|OK')):
            modem.on(command, twice(answer))
        session = await opened(modem)
        await session.resync()
        assert [await session.run(CGLA) for _ in range(8)] == [('+CGLA: 4,"9000"',)] * 8
        assert session.contentions == 0

    run(scene())


def test_a_dead_line_is_told_after_trying_to_leave_data_mode() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.table = {"AT": None, "ATE0V1": None, "ATQ0V1": None}
        session = await opened(modem)
        with pytest.raises(LinkDead):
            await session.resync()
        assert b"+++" in modem.raw_writes

    run(scene())


def test_a_port_in_data_mode_is_brought_back() -> None:
    async def scene() -> None:
        modem = FakeModem()
        escaped = False

        def in_command_mode(_: str) -> str | None:
            nonlocal escaped
            escaped = escaped or b"+++" in modem.raw_writes
            return "OK" if escaped else None

        modem.on("AT", in_command_mode)
        modem.on("ATE0V1", in_command_mode)
        modem.on("ATQ0V1", in_command_mode)
        session = await opened(modem)
        await session.resync()
        assert await session.run(commands.ping()) == ()

    run(scene())


def test_a_modem_that_wants_a_line_feed_gets_it() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.table = dict.fromkeys(("AT", "ATE0V1", "ATQ0V1", "AT+CGMI"))
        for command in ("AT", "ATE0V1", "AT+CGMI"):
            modem.on(command, lambda _: "OK" if modem.raw_writes[-1].endswith(b"\n") else None)
        session = await opened(modem)
        await session.resync()
        await session.run(commands.text_query("AT+CGMI"))
        assert modem.raw_writes[-1] == b"AT+CGMI\r\n"

    run(scene())


def test_a_lost_port_ends_the_command_at_once_and_every_later_one() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", None)
        session = await opened(modem)
        asyncio.get_running_loop().call_later(2, modem.unplug)
        start = asyncio.get_running_loop().time()
        with pytest.raises(PortLost):
            await session.run(CGLA)
        assert asyncio.get_running_loop().time() - start == pytest.approx(2, abs=0.01)
        with pytest.raises(PortLost):
            await session.run(CGLA)

    run(scene())


def test_a_modem_that_floods_the_line_does_not_hold_the_session_for_ever() -> None:
    async def scene() -> None:
        modem = FakeModem()
        session = await opened(modem)
        loop = asyncio.get_running_loop()

        def flood() -> None:
            modem.say("+CSQ: 20,99")
            loop.call_later(0.05, flood)

        flood()
        start = loop.time()
        await session.resync()
        assert loop.time() - start < 60

    run(scene())


@given(st.lists(st.integers(0, 80), max_size=8))
def test_an_answer_arrives_whole_however_the_line_cuts_it(cuts: list[int]) -> None:
    answer = b'AT+CSIM=22,"80E2910006BF3E035C015A"\r\r\n+CSIM: 4,"9000"\r\n\r\nOK\r\n'

    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CSIM", None)
        session = await opened(modem)
        task = asyncio.ensure_future(session.run(CSIM))
        await asyncio.sleep(0)
        edges = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
        for start, end in itertools.pairwise(edges):
            modem.say(answer[start:end])
        assert await task == ('+CSIM: 4,"9000"',)

    run(scene())


def test_bringing_a_fresh_line_into_step_is_no_warning_but_losing_step_is(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        modem = FakeModem()
        session = await opened(modem)
        await session.resync()
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        modem.on("AT+CGLA", None)
        with pytest.raises(CommandTimeout):
            await session.run(CGLA, deadline_s=1)
        await session.run(commands.ping())
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.getMessage() for record in warnings if "no answer to AT+CGLA" in record.getMessage()]

    with caplog.at_level(logging.DEBUG):
        run(scene())


def test_a_line_longer_than_any_answer_is_told_apart_from_a_late_answer() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CGLA", f'+CGLA: 9,"{"5A" * (MAX_LINE_BYTES // 2)}"|OK')
        with pytest.raises(LineDamaged, match="longer than any answer"):
            await (await opened(modem)).run(CGLA)

    run(scene())


def test_a_module_that_sleeps_is_woken_by_a_line_that_may_be_lost() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CSQ", "+CSQ: 20,99|OK")
        session = await opened(modem)
        session.wake_after_s = 5.0
        await session.resync()
        await asyncio.sleep(60.0)
        before = len(modem.commands)
        modem.on("AT", [None, "OK"])  # the first one wakes it
        assert await session.run(commands.query("AT+CSQ", "+CSQ")) == ("+CSQ: 20,99",)
        assert modem.commands[before:][:2] == ["AT", "AT"]
        before = len(modem.commands)
        await session.run(commands.query("AT+CSQ", "+CSQ"))
        assert modem.commands[before:] == ["AT+CSQ"]  # awake

    run(scene())


def test_results_of_commands_that_were_never_sent_are_contention_though_no_line_has_a_name() -> None:
    async def story() -> None:
        modem = FakeModem()
        session = AtSession(await modem.open())
        await session.resync()
        for _ in range(2):
            modem.say("Quectel|EG25|OK")
            await asyncio.sleep(5.0)
            await session.run(commands.ping())
        assert session.contentions == 0
        modem.say("ERROR")
        with pytest.raises(PortContention, match="did not send"):
            await session.run(commands.ping())
        await session.run(commands.ping())
        assert session.contentions == 1

    run(story())


def test_results_of_commands_of_its_own_that_came_too_late_are_no_contention() -> None:
    async def story() -> None:
        modem = FakeModem()
        modem.on("AT+CSQ", Later(3.0, "+CSQ: 20,99|OK"))
        session = AtSession(await modem.open())
        await session.resync()
        for _ in range(5):
            with pytest.raises(CommandTimeout):
                await session.run(commands.plain("AT+CSQ", deadline_s=1.0))
            await asyncio.sleep(4.0)
        await session.run(commands.ping())
        assert session.contentions == 0

    run(story())
