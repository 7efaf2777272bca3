"""What people see of a real agent in situations that were once told wrongly: agent, modem, card, eIM and SM-DP+ are
those of ``lab_device.py``, nothing is a hand-made model.

``PYTHONPATH=tests/support python -m tests.cli.agent_screens`` writes ``agent_screens/`` anew; read the difference
before committing it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ipad_agent.config import Config, ConfigErrors, LocalConfig, ModemConfig, loads
from ipad_agent.config.errors import lines_of
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks, VirtualEuicc
from ipad_agent.local.status_model import Status
from ipad_agent.torture.history.fault_history import CODE, DOWNLOADED, EIM_IDS

from .lab_device import FIRST_POLL_S, LabDevice

FOLDER: Final = Path(__file__).parent / "agent_screens"
DAY_S: Final = 86_400.0
EIM: Final = EIM_IDS[0]
FILE: Final = Path("/etc/ipad-agent/config.toml")
WRONG: Final = """\
# by hand, in a hurry
[poll]
intervall_s = 3600
jitter = 7

[nonsense]
a = 1

[[eim]]
id = "eim.lab.example"
port = 99999999
"""
RIGHT: Final = """\
# the bench
[poll]
preset = "nbiot"
interval_s = 3600

[[eim]]
id = "eim.lab.example"
port = 5684
"""


def on_operator_a(card: VirtualEuicc) -> None:
    """The device works with its operator, and has the bootstrap profile to fall back to."""
    card.update_profile(BOOTSTRAP, enabled=False)
    card.update_profile(OPERATOR_A, enabled=True)


def in_fallback(status: Status) -> bool:
    return status.guardian is not None and status.guardian.in_fallback


def decided(status: Status) -> bool:
    return status.switch is not None and status.switch.ended is not None


def healthy(**more: Any) -> LabDevice:
    """A device that has polled once."""
    device = LabDevice(**more)
    device.pass_s(FIRST_POLL_S)
    return device


# -- whose fallback it is, and what comes of an order ------------------------------------------------------------------


def fallback_already() -> list[str]:
    """Ordered on a device whose fallback profile is the one that it works with."""
    with healthy() as device:
        return device.ipactl("fallback") + device.ipactl("status") + device.ipactl("fallback --return")


def fallback_by_a_person() -> list[str]:
    """Ordered on a healthy device; the cause outlives the process, and the way back is proved."""
    with healthy(before=on_operator_a) as device:
        lines = device.ipactl("fallback")
        device.pass_s(60.0)
        lines += device.ipactl("status")
        device.restart()
        lines += device.ipactl("status") + device.ipactl("profiles")
        return lines + device.ipactl("fallback --return") + device.ipactl("status")


def fallback_by_the_guardian() -> list[str]:
    """The operator's network is gone for a day."""
    with healthy(before=on_operator_a) as device:
        device.cover(OPERATOR_A, False)
        device.until(in_fallback, limit_s=3 * DAY_S, step_s=60.0)
        device.pass_s(600.0)
        return device.ipactl("status")


def return_that_does_not_work() -> list[str]:
    """Somebody wants the former profile back, which has no network here."""
    with healthy(before=on_operator_a) as device:
        device.ipactl("fallback")
        device.cover(OPERATOR_A, False)
        lines = device.ipactl("fallback --return")
        device.pass_s(600.0)
        return lines + device.ipactl("status")


def fallback_that_the_card_has_not() -> list[str]:
    """No profile is marked for fallback."""

    def unmarked(card: VirtualEuicc) -> None:
        on_operator_a(card)
        card.update_profile(BOOTSTRAP, fallback_attribute=False)

    with healthy(before=unmarked) as device:
        return device.ipactl("fallback") + device.ipactl("status")


def _proving(device: LabDevice) -> None:
    device.cover(OPERATOR_A, False)
    device.order(f"enable {OPERATOR_A} --rollback")
    device.ipactl("poll")
    device.until(lambda status: status.switch is not None and status.switch.phase == "proving")


def rollback_by_a_person() -> list[str]:
    """While the new profile has not proved itself."""
    with healthy() as device:
        _proving(device)
        return device.ipactl("rollback") + device.ipactl("status")


def confirm_by_a_person() -> list[str]:
    """The same, and somebody knows better."""
    with healthy() as device:
        _proving(device)
        return device.ipactl("confirm") + device.ipactl("status")


def nothing_to_take_back() -> list[str]:
    """No change is under way."""
    with healthy() as device:
        return device.ipactl("rollback") + device.ipactl("confirm")


def no_wait() -> list[str]:
    """Whoever does not want to wait only gives the order."""
    with healthy(before=on_operator_a) as device:
        lines = device.ipactl("fallback --no-wait")
        device.pass_s(60.0)
        return lines + device.ipactl("status")


# -- what became of the last order -------------------------------------------------------------------------------------


def orders_that_failed() -> list[str]:
    """Both orders of a poll failed."""
    with healthy() as device:
        device.order(f"delete {BOOTSTRAP}")
        device.order(f"disable {OPERATOR_A}")
        lines = device.ipactl("poll") + device.ipactl("status") + device.ipactl("eims") + device.ipactl("log -n 12")
        device.restart()
        lines += device.ipactl("status")
        device.order("list-profiles")
        lines += device.ipactl("poll") + device.ipactl("eims")
        device.order(f"enable {OPERATOR_A} --rollback")
        return lines + device.ipactl("poll") + device.ipactl("status")


def figures_of_a_failed_order() -> list[str]:
    """The same for a monitoring system."""
    with healthy() as device:
        device.order(f"delete {BOOTSTRAP}")
        device.ipactl("poll")
        return [line for line in device.ipactl("metrics") if "last_order" in line]


# -- what prevents a poll ----------------------------------------------------------------------------------------------


def poll_without_modem() -> list[str]:
    """The modem is unplugged: the same word in every screen."""
    with healthy() as device:
        device.unplug(3600.0)
        device.pass_s(400.0)
        return device.ipactl("poll") + device.ipactl("status") + device.ipactl("fallback")


def poll_without_card() -> list[str]:
    """Somebody has taken the card out; the agent finds out when it asks."""
    with healthy() as device:
        device.take_card()
        lines = device.ipactl("poll")
        device.pass_s(1.0)
        return lines + device.ipactl("poll") + device.ipactl("status")


def poll_without_eim() -> list[str]:
    """The card names no eIM."""
    with LabDevice(managed=False) as device:
        device.pass_s(30.0)
        return device.ipactl("poll") + device.ipactl("status")


def poll_of_a_silent_eim() -> list[str]:
    """There is an eIM, and nobody answers."""
    with healthy() as device:
        device.silence()
        lines = device.ipactl("poll")
        device.pass_s(120.0)
        return lines + device.ipactl("status")


# -- what the card changed ---------------------------------------------------------------------------------------------


def download() -> list[str]:
    """The new profile is known when the poll ends, and the card's room as it is then."""
    with healthy() as device:
        lines = [line for line in device.ipactl("status") if "Card" in line]
        device.order(f"trigger {CODE}")
        lines += device.ipactl("poll") + device.ipactl("profiles") + device.ipactl("status")
        lines += [said for said in device.said if said.startswith("IPA-4054")]
        device.pass_s(60.0)
        device.ipactl("owed")
        lines += ["after a look at the card:", *device.ipactl("profiles")]
        device.order(f"delete {DOWNLOADED}")
        return lines + device.ipactl("poll") + device.ipactl("profiles")


def order_then_rollback() -> list[str]:
    """The profile that was ordered has no network here."""
    with healthy() as device:
        device.cover(OPERATOR_A, False)
        device.order(f"enable {OPERATOR_A} --rollback")
        device.ipactl("poll")
        device.until(decided, limit_s=3600.0, step_s=1.0)
        device.pass_s(30.0)
        return device.ipactl("profiles") + device.ipactl("status")


# -- sentences ---------------------------------------------------------------------------------------------------------


def return_to_a_profile_that_only_the_card_knows() -> list[str]:
    """The card has fallen back before this agent came, so only the card knows where from."""
    with healthy(before=on_operator_a) as device:
        device.ipactl("fallback")
        device.forget("fallback")
        device.restart()
        lines = device.ipactl("fallback --return")
        return lines + [said for said in device.said if said.split()[0] in ("IPA-4201", "IPA-4202")]


def provisioning() -> list[str]:
    """A card that nobody managed takes its eIM from a file."""
    with LabDevice(managed=False, provisioned=True) as device:
        device.pass_s(FIRST_POLL_S)
        return [said for said in device.said if said.startswith(("IPA-4004", "IPA-4001"))]


def consumer_card() -> list[str]:
    """A card that this agent does not serve, but can read."""
    with LabDevice(managed=False, quirks=Quirks(consumer=True)) as device:
        device.pass_s(30.0)
        return device.ipactl("status") + device.ipactl("profiles")


def debug_log_of_a_poll() -> list[str]:
    """What the agent says of an order from its arrival to its end, debug included."""
    with healthy() as device:
        device.said.clear()
        device.order(f"disable {OPERATOR_A}")
        device.ipactl("poll")
        return [said for said in device.said if said.startswith(("IPA-40", "IPA-42", "IPA-21"))]


# -- the configuration -------------------------------------------------------------------------------------------------


def doctor() -> list[str]:
    """The agent's doctor names the faces, the same room on the card as the status, and does not flood the log."""
    config = Config(modem=ModemConfig(port="socket://bench:4000"), local=LocalConfig(socket=False, dbus="off"))
    with healthy(config=config) as device:
        return device.doctor() + [line for line in device.ipactl("status") if "Card" in line]


def configuration_in_use() -> list[str]:
    """What the agent runs with that is no mere default, and where it comes from."""
    with LabDevice(config=loads(RIGHT.encode(), FILE)) as device:
        return [line for line in device.ipactl("config show --origin") if not line.endswith("(default)")]


def configuration_problems() -> list[str]:
    """What is wrong with a file, and where."""
    try:
        loads(WRONG.encode(), FILE)
    except ConfigErrors as errors:
        return list(lines_of(str(FILE), sorted(errors.problems, key=lambda problem: problem.position or (0, 0))))
    raise AssertionError("nothing was found wrong")


STORIES: Final[tuple[Callable[[], list[str]], ...]] = (
    fallback_already,
    fallback_by_a_person,
    fallback_by_the_guardian,
    return_that_does_not_work,
    fallback_that_the_card_has_not,
    rollback_by_a_person,
    confirm_by_a_person,
    nothing_to_take_back,
    no_wait,
    orders_that_failed,
    figures_of_a_failed_order,
    poll_without_modem,
    poll_without_card,
    poll_without_eim,
    poll_of_a_silent_eim,
    download,
    order_then_rollback,
    return_to_a_profile_that_only_the_card_knows,
    provisioning,
    consumer_card,
    debug_log_of_a_poll,
    doctor,
    configuration_in_use,
    configuration_problems,
)
NAMES: Final = {story.__name__.replace("_", "-"): story for story in STORIES}


def screen(name: str) -> list[str]:
    """What is seen in this situation, from its beginning."""
    return [line.rstrip() for line in NAMES[name]()]


def main() -> None:
    os.environ["TZ"] = "UTC"
    time.tzset()
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.txt"):
        if file.stem not in NAMES:
            file.unlink()
    for name in NAMES if len(sys.argv) < 2 else sys.argv[1:]:
        (FOLDER / f"{name}.txt").write_text("\n".join(screen(name)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
