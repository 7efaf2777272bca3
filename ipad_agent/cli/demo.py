"""``ipad-agent demo``: the main job on a screen, step by step, for someone who has never heard of SGP.32.

The agent is the real one, a process of its own; card, modem and eIM are the lab's. What is claimed at the end is
read from the lab's parts, not from what the agent says about itself.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import Final

from ipad_agent.lab.agent_process import AgentEvent
from ipad_agent.lab.bench import Bench, BenchOptions
from ipad_agent.lab.errors import AgentEndedError, NothingHappenedError
from ipad_agent.lab.euicc import OPERATOR_A

DEADLINE_S: Final = 60.0

INTRODUCTION: Final = """\
A gateway in the field has an eSIM chip (eUICC) with several mobile contracts on it, called profiles. Which one is
used is decided by its owner's server, the eIM. Nobody is there to press a button. The program that connects the two
is this agent: it asks the eIM for work, has the chip execute it, and brings back the chip's signed answer.

Here the chip, the modem and the eIM are virtual, but the agent cannot tell: it talks AT commands on a serial port and
CoAP over DTLS 1.2 on UDP. The order waiting at the eIM: list the profiles, then switch to "Operator A"."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story: who acts, and what happens, in plain words with the facts filled in."""

    who: str
    text: str
    once: bool = True


STORY: Final[dict[str, Line]] = {
    "IPA-1001": Line("agent", "starts and opens the serial port of the modem"),
    "IPA-2101": Line("card", "is reached: a logical channel to the eSIM's management application stands"),
    "IPA-4004": Line("card", "is told which eIM manages it: identity, signature key and TLS key"),
    "IPA-4001": Line("card", "answers: {kind}, {profiles} profiles, managed by {eims}"),
    "IPA-3001": Line("network", "DTLS 1.2 session with the eIM; its key is the one that the eSIM told us to trust"),
    "IPA-4020": Line("eIM", "hands out a signed order: {what}", once=False),
    "IPA-4021": Line("card", "checked the eIM's signature and the counter, and did it: {what}", once=False),
    "IPA-4024": Line("card", "switches its profile; the modem resets it and registers anew"),
    "IPA-4025": Line("card", "is back, now with profile {iccid}; modem and card agree"),
    "IPA-4030": Line(
        "eIM", "received the signed result ({size_bytes} bytes) and acknowledged {acknowledged}", once=False
    ),
    "IPA-4011": Line("eIM", "has no more work; the agent sleeps until the next poll"),
}


class Screen:
    """Writes the story; colours only on a terminal."""

    def __init__(self, *, plain: bool) -> None:
        self._colour = sys.stdout.isatty() and not plain and "NO_COLOR" not in os.environ
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 110)
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        print(self._paint("1", text), end="\n\n")

    def paragraph(self, text: str) -> None:
        for part in text.split("\n\n"):
            print(textwrap.fill(" ".join(part.split()), self._width), end="\n\n")

    def step(self, who: str, text: str) -> None:
        head = f"{time.monotonic() - self._began:5.1f} s  {who:<8} "
        body = textwrap.wrap(text, self._width - len(head)) or [""]
        print(self._paint("2", head[:9]) + self._paint("36", head[9:]) + body[0])
        for line in body[1:]:
            print(" " * len(head) + line)
        sys.stdout.flush()

    def check(self, good: bool, text: str) -> None:
        mark = self._paint("32", "✓") if good else self._paint("31", "✗")
        lines = textwrap.wrap(text, self._width - 4)
        print(f"  {mark} {lines[0]}")
        for line in lines[1:]:
            print(f"    {line}")

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


async def play(*, plain: bool = False) -> int:
    """Run the demo; the exit status is 0 only if everything that is claimed at the end was seen to be true."""
    screen = Screen(plain=plain)
    screen.title("ipad-agent: what it is for, in one run")
    screen.paragraph(INTRODUCTION)
    options = BenchOptions(personality="eg25", config={"poll": {"interval_s": 3600, "fast_phase_s": 0}})
    async with Bench(options) as bench:
        bench.order("list-profiles")
        bench.order("enable", OPERATOR_A, "--rollback")
        try:
            await _tell(bench, screen)
        except (NothingHappenedError, AgentEndedError) as failure:
            screen.step("demo", f"did not come to its end: {failure}")
            return 1
        stopped = await bench.agent.terminate()
        print()
        return _prove(bench, screen, stopped)


async def _tell(bench: Bench, screen: Screen) -> None:
    """Show what happens until the eIM has no more work and says so after the switch."""
    seen: set[str] = set()
    await bench.agent.start()
    while True:
        event = await bench.agent.event(deadline_s=DEADLINE_S)
        line = STORY.get(event.id or "")
        if line is not None and not (line.once and event.id in seen):
            seen.add(event.id or "")
            screen.step(line.who, _filled(line.text, event))
        elif event.level in ("warning", "error"):
            screen.step("agent", event.text)
        if event.id == "IPA-4011":
            return


def _filled(text: str, event: AgentEvent) -> str:
    return text.format_map({name: str(value) for name, value in event.facts.items()})


def _prove(bench: Bench, screen: Screen, stopped: int) -> int:
    """Check every claim against card, modem, eIM and network."""
    results = [entry for entry in bench.eim.seen("result") if entry.get("ok") and not entry.get("discarded")]
    datagrams = bench.proxy.link.tap
    payload_bytes = sum(len(item.data) for item in datagrams)
    claims: list[tuple[bool, str]] = [
        (
            bench.card.enabled_iccid == OPERATOR_A,
            f"The eSIM has profile …{OPERATOR_A[-4:]} enabled, because the eIM ordered it and for no other reason.",
        ),
        (
            bench.card.active_iccid == OPERATOR_A,
            "The modem sees the same profile: the switch was completed by a card reset, not only stored.",
        ),
        (
            len(results) == 2,
            "The eIM holds two results, each signed by the eSIM's own key and verified by the eIM.",
        ),
        (
            not bench.card.state.results and not bench.card.state.notifications,
            "Everything the eIM acknowledged was removed from the eSIM; nothing is left behind or sent twice.",
        ),
        (
            bool(datagrams) and all(_is_dtls(item.data) for item in datagrams),
            f"All went as CoAP inside DTLS 1.2: {len(datagrams)} datagrams, {payload_bytes} bytes, all of it sealed.",
        ),
        (stopped == 0, "The agent stopped at once when told to, owing nothing."),
    ]
    print("What was proved:")
    for good, text in claims:
        screen.check(good, text)
    print()
    return 0 if all(good for good, _ in claims) else 1


def _is_dtls(datagram: bytes) -> bool:
    """A DTLS 1.0 to 1.2 record header: a known content type and version FE FF or FE FD."""
    return len(datagram) >= 13 and datagram[0] in range(20, 26) and datagram[1:3] in (b"\xfe\xff", b"\xfe\xfd")
