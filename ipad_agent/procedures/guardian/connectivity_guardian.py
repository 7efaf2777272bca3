"""The guardian: looks after the device's connectivity and writes down what ``policy.guardian.guardian_rules`` makes of
it.

It touches neither card nor network by itself. The daemon calls ``look`` every ``check_s`` and ``polled`` after each
poll, and does what ``decision`` says: ``RESTART_MODEM`` after ``restarting_modem``, ``FALLBACK_NOW`` with
``fallback_mechanism.execute``, ``RETURN_NOW`` with a switch around ``fallback_mechanism.return_back``; ``did`` is told
how that ended.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.policy.duration_text import spell_duration
from ipad_agent.policy.guardian import guardian_rules as policy
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.policy.guardian.guardian_document import from_document, to_document
from ipad_agent.policy.guardian.guardian_rules import Decision, Findings, Kind, Watch
from ipad_agent.policy.guardian.guardian_settings import GuardianSettings
from ipad_agent.policy.instant import Instant
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.procedures.ports import Memory, Network
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.switching import local_events as events
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch
from ipad_agent.records import replace

DOCUMENT: Final = "guardian"


class Guardian:
    """One for the life of the process; its watch is on disk after every call that changes it."""

    def __init__(self, memory: Memory, clock: Clock, settings: GuardianSettings) -> None:
        self._memory = memory
        self._clock = clock
        self._settings = settings
        self._watch = policy.start(from_document(memory.load(DOCUMENT)), self._now(), settings)
        self._announced = self.decision.kind in (Kind.LOST, Kind.RESTART_MODEM) and self._watch.failed_cycles > 0

    @property
    def watch(self) -> Watch:
        """For the status: how long connectivity is lost, how often a return was tried."""
        return self._watch

    @property
    def decision(self) -> Decision:
        """What to do now."""
        return policy.decide(self._watch, self._settings)

    @property
    def check_s(self) -> float:
        """How long to wait until the next ``look``."""
        return self._settings.check_s

    @property
    def look_in_s(self) -> float:
        """From now to the next look; 0 when it is due."""
        now, looked = self._now(), self._watch.looked
        passed_s = now.monotonic_s - looked.monotonic_s if looked.boot_id == now.boot_id else self.check_s
        return max(0.0, self.check_s - passed_s)

    async def look(self, network: Network, host: str | None, *, managed: bool = True) -> Decision:
        """Look once. ``host`` is an eIM's name or address, None when it is not known; ``managed``: there is an eIM.

        What costs traffic is only looked at when the last poll failed: without failed polls nothing is lost.
        """
        registration = (await network.registration()).ok
        ip = (await network.ip(host)).ok
        application = dns = None
        if self._watch.failed_cycles:
            application = (await network.application()).ok
            if application is None and host is not None and not _is_address(host):
                dns = (await network.dns(host)).ok
        found = Findings(registration=registration, application=application, ip=ip, dns=dns)
        self._become(policy.look(self._watch, self._now(), found, self._settings, managed=managed))
        return self.decision

    def polled(self, outcome: Outcome) -> None:
        """A poll of an eIM ended, or could not even begin for want of a network (``Outcome.UNREACHABLE``)."""
        self._become(policy.cycle(self._watch, outcome))

    def unproven(self) -> None:
        """A switch ended unproved and without a way back."""
        self._become(replace(policy.unproven(self._watch), looked=self._now()))

    def switched(self) -> None:
        """Another profile was enabled by anybody but the guardian: an eIM, a rollback, a person, a reset."""
        self._become(policy.switched(self._watch, self._now()))

    def restarting_modem(self) -> None:
        """To be called before the modem is restarted."""
        events.MODEM_RESTARTED.emit(
            duration=spell_duration(self._watch.cut_off_s), cut_off_s=round(self._watch.cut_off_s, 1)
        )
        self._become(policy.restarting_modem(self._watch))

    def back_on_fallback(self) -> None:
        """A return did not prove itself; the fallback profile is enabled again."""
        self._become(policy.fell_back(self._watch, FallbackCause.RETURN))

    def returning(self) -> None:
        """To be called before a return is armed and the card is touched."""
        self._become(policy.returning(self._watch))

    def returned(self) -> None:
        """The return has proved itself."""
        self._become(policy.returned(self._watch))

    def did(self, switch: LocalSwitch) -> None:
        """The card was asked for a change; a return that was ``DONE`` has still to prove itself."""
        match switch.what, switch.end:
            case What.FALLBACK, End.DONE:
                self._become(policy.fell_back(self._watch, switch.by))
            case What.FALLBACK, _ if switch.by is not FallbackCause.GUARDIAN:
                return  # a person hears why nothing came of it; the guardian's own patience goes on
            case What.FALLBACK, End.ALREADY:
                self._become(self._watch if self._watch.in_fallback else policy.was_there(self._watch))
            case What.FALLBACK, End.NOT_AVAILABLE:
                self._become(policy.refused(self._watch, for_good=True))
            case What.FALLBACK, _:
                self._become(policy.refused(self._watch, for_good=False))
            case What.RETURN, End.DONE if switch.by is FallbackCause.PERSON:
                self._become(policy.returning_for_a_person(self._watch))
            case What.RETURN, End.NOT_AVAILABLE if switch.by is FallbackCause.PERSON:
                self._become(policy.nothing_to_return_to(self._watch))
            case What.RETURN, _ if switch.by is FallbackCause.PERSON:
                return
            case What.RETURN, End.DONE:
                return
            case What.RETURN, End.NOT_AVAILABLE:
                self._become(policy.no_return(self._watch))
            case What.RETURN, _:
                self._become(policy.return_refused(self._watch, self._settings))
            case _:
                return

    def _become(self, watch: Watch) -> None:
        before, self._watch = self._watch, watch
        if replace(before, looked=watch.looked, sign=watch.sign) != watch:
            # Without it a restart begins with less patience used up; the store has said what is wrong.
            with contextlib.suppress(StoreError):
                self._memory.save(DOCUMENT, to_document(watch))
        self._announce()

    def _announce(self) -> None:
        decision = self.decision
        # A tunnel is not worth a word; a poll that failed is.
        if decision.kind in (Kind.LOST, Kind.RESTART_MODEM) and self._watch.failed_cycles and not self._announced:
            events.LOST.emit(sentence=decision.sentence)
            self._announced = True
        elif decision.kind is Kind.WATCH and self._announced:
            events.REGAINED.emit()
            self._announced = False

    def _now(self) -> Instant:
        return Instant.now(self._clock)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
