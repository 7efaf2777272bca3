"""The examination from its beginning to its end: the line, the module, its commands, the ways to the card, the card,
the network. What was changed for it is put back, also after an error and when it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from ipad_agent.card.apdu_channel import ModemIdentity
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.errors import CardError, ModemError
from ipad_agent.modem import commands
from ipad_agent.modem.at import network_registration, signal_quality
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.module_profile import GENERIC, Init, ModuleProfile, ProfileSet, Refresh, Rung
from ipad_agent.modem.port.byte_stream import PortOpener
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.records import dataclass, replace

from . import card_identification, command_survey, line_examination, way_examination
from .card_identification import CardSurvey
from .command_survey import CommandRow
from .examined_port import ExaminedPort
from .line_examination import LineFacts
from .read_only_guard import ReadOnlyGuard
from .refresh_examination import RefreshExamination, RefreshFacts
from .way_examination import UnsweptAccess, WayFacts

WAYS: Final = ("cgla", "csim")
BASIC_WAY: Final = "cgla-basic"
"""The module uses the card's basic channel itself, and a SELECT there may cost it its network: only measured where its
profile names this way, or where the module lets nothing else through."""
_BACK_S: Final = 40.0
"""So long the clearing up may take after an interruption."""


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """Who answers. ``profile`` was chosen by ``criteria`` (``model "EG25"``); none for the generic one."""

    manufacturer: str
    model: str
    revision: str
    imei: str | None
    profile: str
    title: str
    criteria: tuple[str, ...]
    evidence: str


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """``registration`` and ``signal`` in words; None when the modem does not tell."""

    registered: bool
    registration: str | None
    signal: str | None


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known in a few seconds."""

    port: str
    line: LineFacts
    module: ModuleFacts
    commands: tuple[CommandRow, ...]


@dataclass(frozen=True, slots=True)
class Examination:
    """All of it. ``refresh`` is None unless a person consented to a switch, and it was possible."""

    probe: Probe
    at_p50_ms: float | None
    at_p95_ms: float | None
    ways: tuple[WayFacts, ...]
    card: CardSurvey
    network: NetworkFacts
    refresh: RefreshFacts | None
    switch_wanted: bool
    module_profile: ModuleProfile


class ModemExamination:
    """One examination of one port, which may be open already and is closed at the end. ``say`` hears what is done now,
    in words."""

    def __init__(
        self, opener: PortOpener, profiles: ProfileSet, *, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.port = opener if isinstance(opener, ExaminedPort) else ExaminedPort(opener, ReadOnlyGuard())
        self._profiles = ProfileSet(tuple(_unprejudiced(profile) for profile in profiles.profiles))
        self._originals = profiles
        self._say = say
        self._line: LineFacts | None = None
        self._links: list[ModemLink] = []

    async def __aenter__(self) -> ModemExamination:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Settings and port as they were found."""
        with contextlib.suppress(ModemError, TimeoutError):
            async with asyncio.timeout(_BACK_S):
                if self._line is None or not self._links:
                    await line_examination.put_back_early(self.port)
                else:
                    await line_examination.put_back(await self._links[-1].ready(), self._line)
        await self.port.give_back()

    async def probe(self) -> Probe:
        """Who answers and what it knows; raises ``NoModemAnswers``, or an error of the port or the line."""
        self._say("Listening and asking AT")
        self._line = await line_examination.find_modem(self.port)
        link = self._link()
        identity = await link.identity()
        profile = link.profile
        self.port.guard.allow(
            (
                *command_survey.questions(profile),
                *profile.uicc.lock,
                *profile.uicc.unlock,
            )
        )
        self._say(f"Asking {_name(identity)} which commands it knows")
        rows = await command_survey.survey(link, command_survey.questions(profile))
        return Probe(self.port.description, self._line, _module(identity, profile), rows)

    async def examine(self, *, switch: bool = False) -> Examination:
        """The whole of it; ``switch``: also there and back between two profiles, to which a person has consented."""
        probe = await self.probe()
        link = self._links[-1]
        times_ms = await way_examination.sample(lambda: link.run(commands.ping()))
        ways: list[WayFacts] = []
        for way in (*WAYS, BASIC_WAY):
            if way == BASIC_WAY and not _wants_basic_way(ways, link.profile, probe.commands):
                continue
            self._say(f"Measuring the way to the card by {way_examination.COMMANDS[way]}")
            _, session = self._card(way)
            ways.append(await way_examination.examine(way, session))
        best = recommended(ways, link.profile)
        self._say("Asking the card what it is")
        access, session = self._card(best)
        card = await card_identification.identify(access, session)
        self._say("Asking for the network")
        network = await self._network(self._links[-1])
        refresh = None
        if switch and card.can_switch:
            self._say("Changing to the fallback profile and back")
            refresh = await self._switch(best, link.profile)
        original = self._originals.named(link.profile.name) or GENERIC
        p50, p95 = (way_examination.percentile(times_ms, share) for share in (0.5, 0.95))
        return Examination(probe, p50, p95, tuple(ways), card, network, refresh, switch, original)

    async def ask(self, text: str, *, deadline_s: float) -> tuple[tuple[str, ...], str]:
        """One command of a person, and what came: its lines and its final result."""
        self._line = await line_examination.find_modem(self.port)
        link = self._link()
        session = await link.ready()
        self.port.guard.allow([text])
        try:
            return await session.run(commands.of_person(text, deadline_s=deadline_s)), "OK"
        except CommandRefused as error:
            return (), error.final

    def _link(self) -> ModemLink:
        link = ModemLink(self.port, self._profiles, restore_function=False, timing=self.port.timing)
        self._links.append(link)
        return link

    def _card(self, way: str | None) -> tuple[UnsweptAccess, IsdrSession]:
        access = ModemCardAccess(
            self.port, self._profiles, forced_way=way, restore_function=False, timing=self.port.timing
        )
        self._links.append(access.link)
        careful = UnsweptAccess(access)
        session = IsdrSession(careful, terminal_capability="auto", deadlines=way_examination.DEADLINES)
        return careful, session

    async def _network(self, link: ModemLink) -> NetworkFacts:
        try:
            found = await network_registration.read(link)
            heard = await signal_quality.read(link)
        except ModemError:
            return NetworkFacts(False, None, None)
        return NetworkFacts(
            found is not None and found.registered,
            None if found is None else str(found),
            None if heard is None else str(heard),
        )

    async def _switch(self, way: str | None, profile: ModuleProfile) -> RefreshFacts | None:
        access, session = self._card(way)
        guard = self.port.guard
        rungs = [rung for rung in profile.ladder.values() if not rung.writes_nvm]
        guard.resets = frozenset(text.upper() for rung in rungs for text in (*rung.commands, *rung.restore))
        guard.switching = True
        euicc = Euicc(session)
        refresh = RefreshExamination(euicc, access, self.port)
        self._links[-1].listen(refresh.note)
        try:
            return await refresh.run()
        except CardError:
            return None
        finally:
            guard.switching = False
            await session.drop()


def _wants_basic_way(ways: list[WayFacts], profile: ModuleProfile, rows: tuple[CommandRow, ...]) -> bool:
    if BASIC_WAY in profile.uicc.order:
        return True
    hopeless = any(one.usable or not (one.opens or one.refused) for one in ways)
    return not hopeless and not command_survey.vendor_lpa_on(profile, rows)


def recommended(ways: list[WayFacts], profile: ModuleProfile) -> str | None:
    """The way to use: one that carries everything whole, in the profile's order; else one that opens at all."""
    order = {way: number for number, way in enumerate(profile.uicc.order)}
    for fitting in ([way.way for way in ways if way.usable], [way.way for way in ways if way.opens]):
        if fitting:
            return min(fitting, key=lambda way: order.get(way, len(order)))
    return None


def _unprejudiced(profile: ModuleProfile) -> ModuleProfile:
    """Without the commands for the beginning, which set something, and without an opinion of what a REFRESH does."""
    ladder = {0: Rung(rung=0), **profile.ladder}
    return replace(profile, init=Init(), refresh=Refresh(), ladder=dict(sorted(ladder.items())))


def _module(identity: ModemIdentity, profile: ModuleProfile) -> ModuleFacts:
    match = profile.match
    patterns = (("manufacturer", match.manufacturer), ("model", match.model), ("revision", match.revision))
    criteria = tuple(f"{name} {pattern}" for name, pattern in patterns if pattern is not None)
    known = profile.evidence_for("match")
    evidence = "no profile fits it" if known is None or not criteria else f"{known.grade.value}: {known.source}"
    return ModuleFacts(
        identity.manufacturer,
        identity.model,
        identity.revision,
        identity.imei,
        profile.name,
        profile.title,
        criteria,
        evidence,
    )


def _name(identity: ModemIdentity) -> str:
    return " ".join(part for part in (identity.manufacturer, identity.model) if part) or "the modem"
