"""Property tests are repeatable: the same code gives the same examples, so a red run is never bad luck.

``HYPOTHESIS_PROFILE=wander`` looks for new examples (``make fuzz``).
"""

from __future__ import annotations

import gc
import os

from hypothesis import HealthCheck, settings

# What the terminal, or the service manager, of whoever runs the tests says is no part of them, nor of the processes
# that they start: with COLUMNS=80 lines break elsewhere, with JOURNAL_STREAM the daemon's log has another style.
for _name in (
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "JOURNAL_STREAM"),
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"),
):
    os.environ.pop(_name, None)

# How long an example takes to be made tells of the machine, not of the program.
_AT_ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", _AT_ANY_SPEED, derandomize=True)
settings.register_profile("wander", _AT_ANY_SPEED, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def pytest_collection_finish() -> None:
    """Modules and thousands of collected tests stay to the end: the garbage collector need not go through them again
    and again, which is a tenth of the time of whatever makes many objects."""
    gc.collect()
    gc.freeze()
