"""SMS of the modem: announced, read from where they are, deleted, and nothing of the modem left changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ipad_agent.codec.short_message import ShortMessage
from ipad_agent.lab.modem.at.message_commands import sms_deliver
from ipad_agent.modem.commands import Command
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.short_messages import ANNOUNCE, MOST_WAITING, Announced, ShortMessages

PDU = sms_deliver("+491510000001", "Poll4711now")


class Link:
    """``ModemLink`` with a few messages; ``memory`` is what +CMGR and +CMGD are about."""

    def __init__(self, *, memories: bool = True) -> None:
        self.memory = "SM" if memories else ""
        self.stored = {("ME", 3): PDU, ("", 3): PDU}
        self.sent: list[str] = []
        self.initial: tuple[str, ...] = ()
        self.say: Callable[[str], None] = lambda line: None

    def also_initialise(self, texts: tuple[str, ...]) -> None:
        self.initial = texts

    def listen(self, callback: Callable[[str], None]) -> None:
        self.say = callback

    async def run(self, command: Command) -> tuple[str, ...]:
        self.sent.append(command.text)
        if command.text == "AT+CPMS?":
            if not self.memory:
                raise CommandRefused("AT+CPMS", "ERROR")
            return (f'+CPMS: "{self.memory}",1,20,"SM",0,20,"ME",1,20',)
        if command.text.startswith("AT+CPMS="):
            self.memory = command.text.split('"')[1]
            return ("+CPMS: 1,20,1,20,1,20",)
        place = (self.memory, int(command.text.split("=")[1]))
        if command.text.startswith("AT+CMGD"):
            del self.stored[place]
            return ()
        return ("+CMGR: 0,,31", self.stored[place].hex().upper())


def messages(link: Link) -> ShortMessages:
    return ShortMessages(cast(ModemLink, link))


async def test_a_message_is_read_and_deleted_where_it_was_announced() -> None:
    link = Link()
    found = messages(link)
    assert link.initial == ANNOUNCE
    link.say('+CMTI: "ME",3')
    announced = await found.next()
    assert await found.read(announced) == ShortMessage("+491510000001", "Poll4711now")
    await found.delete(announced)
    assert ("ME", 3) not in link.stored
    assert link.memory == "SM"  # as it was


async def test_a_modem_with_one_memory_is_not_told_to_change_it() -> None:
    link = Link(memories=False)
    found = messages(link)
    assert await found.read(Announced("ME", 3)) is not None
    assert not [text for text in link.sent if text.startswith("AT+CPMS=")]


async def test_one_that_is_handed_over_is_taken_from_the_line_that_follows() -> None:
    link = Link()
    found = messages(link)
    for line in ("+CREG: 1", PDU.hex(), "+CMT: ,31", PDU.hex(), PDU.hex()):
        link.say(line)
    announced = await found.next()
    assert await found.read(announced) == ShortMessage("+491510000001", "Poll4711now")
    await found.delete(announced)
    assert link.sent == []
    assert not found._waiting


async def test_a_flood_of_messages_is_bounded() -> None:
    link = Link()
    found = messages(link)
    for index in range(10 * MOST_WAITING):
        link.say(f'+CMTI: "ME",{index}')
    assert len(found._waiting) == MOST_WAITING
