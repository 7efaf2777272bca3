"""Who may call for a poll, as the configuration wants it: SMS and knocks. Loaded only where it names one."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.config import Config, SecretError
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.short_messages import ShortMessages
from ipad_agent.net import clock_is_plausible, split_address
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.site.tunnel_interfaces import why_not_closed
from ipad_agent.wakeup.knock import SHORTEST_KEY_BYTES, KnockCheck
from ipad_agent.wakeup.knock_listener import KnockListener
from ipad_agent.wakeup.sms_watch import SmsRules, SmsWatch
from ipad_agent.wakeup.wake_calls import WakeCalls

_KEYWORD: Final = re.compile(r"[A-Za-z0-9]{8,160}")


def wake_sources(
    config: Config,
    clock: Clock,
    link: ModemLink,
    *,
    poke: Callable[[Wake], None],
    turn: Callable[[], AbstractAsyncContextManager[None]],
    spent_today_bytes: Callable[[], int],
) -> list[Coroutine[object, object, None]]:
    """One to run for each. Raises ``SecretError`` when a key or keyword cannot be used."""
    wake, wanted = config.wake, list[Coroutine[object, object, None]]()

    def spent() -> str | None:
        budget = config.budget.day_bytes
        return "today's traffic budget is used up" if budget is not None and spent_today_bytes() >= budget else None

    def follow(how: str) -> None:
        poke(Wake.SMS if "SMS" in how else Wake.KNOCK)

    calls = WakeCalls(wake.per_hour, follow, clock.monotonic, spent)
    if wake.sms and wake.sms_keyword_file is not None:
        keyword = wake.sms_keyword_file.read_text()
        if not _KEYWORD.fullmatch(keyword):
            raise SecretError("wake.sms_keyword_file", "holds no keyword", allowed="8 to 160 letters and digits")
        rules = SmsRules(frozenset(wake.sms_senders), keyword)
        wanted.append(SmsWatch(ShortMessages(link), rules, calls, turn).run())
    if wake.knock and wake.knock_key_file is not None:
        key = wake.knock_key_file.read_key()
        if len(key) < SHORTEST_KEY_BYTES:
            raise SecretError("wake.knock_key_file", f"holds {len(key)} bytes", allowed="16 to 64 bytes")
        check = KnockCheck(key)
        for place in wake.knock:
            host, port = split_address(place)
            assert port is not None  # the configuration wants one
            why_not = (lambda: None) if wake.any_interface else partial(why_not_closed, host)
            wanted.append(KnockListener(host, port, check, calls, why_not, clock_is_plausible).run())
    return wanted
