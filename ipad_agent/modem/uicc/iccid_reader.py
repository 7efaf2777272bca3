"""The ICCID that the modem sees, in order, however its firmware prints it."""

from __future__ import annotations

from ipad_agent.codec.identifiers import Iccid
from ipad_agent.modem import commands, events
from ipad_agent.modem.at.hanging_commands import HangingQueries
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.modem_link import ModemLink

from .channel_record import PrintingMemory


class IccidReader:
    """``printing`` remembers which modules print the file as it is."""

    def __init__(self, link: ModemLink, printing: PrintingMemory) -> None:
        self._link = link
        self._printing = printing
        self._queries = HangingQueries()
        self._answered_query: str | None = None
        self._in_order_by_file: set[tuple[str, Iccid]] = set()

    def forget(self) -> None:
        """Of the module before: what did not answer there may answer here."""
        self._queries.forget()

    async def read(self) -> str | None:
        """The ICCID, or None where nothing tells it. Tries the profile's commands, then EF_ICCID by AT+CRSM."""
        await self._link.ready()
        profile, queries = self._link.profile, self._queries
        own = sorted(profile.queries.iccid, key=lambda candidate: candidate != self._answered_query)
        for text in queries.worth_asking((*own, commands.READ_EF_ICCID.text)):
            from_file = text == commands.READ_EF_ICCID.text
            command = commands.READ_EF_ICCID if from_file else commands.iccid(text, deadline_s=profile.deadlines.line_s)
            read = commands.read_ef_iccid if from_file else commands.read_iccid
            try:
                iccid = read(await self._link.run(command))
            except CommandTimeout:
                queries.hung(text)
                continue
            except (CommandRefused, LineDamaged):
                continue
            if iccid is not None:
                self._answered_query = text
                queries.answered(text)
                return str(iccid.in_order if from_file else await self._in_order(text, iccid))
        return None

    async def _iccid_file(self) -> Iccid | None:
        try:
            return commands.read_ef_iccid(await self._link.run(commands.READ_EF_ICCID))
        except (CommandRefused, CommandTimeout, LineDamaged):
            return None

    async def _in_order(self, query: str, printed: Iccid) -> Iccid:
        """The ICCID that was printed as answer to ``query``. Some modules print the file as it is. What begins with 89
        is in order and what begins with 98 is not; of anything else only the file can tell, and what was seen before.
        """
        if str(printed).startswith("89"):
            return printed
        key = f"{(await self._link.identity()).key} {query}"
        if self._printing.as_in_file(key):
            return printed.turned
        if printed.in_order == printed:
            if (key, printed) in self._in_order_by_file:
                return printed
            in_file = await self._iccid_file()
            if in_file is None:
                return printed
            if in_file != printed.turned or in_file == printed:
                self._in_order_by_file.add((key, printed))
                return printed
        self._printing.save(key)
        events.ICCID_AS_IN_FILE.emit(query=query)
        return printed.turned
