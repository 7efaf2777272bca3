"""The daemon under a profiler, for ``cpu_profiles.py``: python bench/profiled_daemon.py FOLDER run --config FILE

Every SIGUSR2 ends one profile, ``FOLDER/0``, ``FOLDER/1`` and so on, and begins the next. Nothing is loaded here that
the daemon would load, or its start would not be seen.
"""

import cProfile
import itertools
import os
import signal
import sys
import time


def main() -> int:
    folder, words = sys.argv[1], sys.argv[2:]
    profile = cProfile.Profile(time.process_time)
    numbers = itertools.count()

    def cut(*_: object) -> None:
        nonlocal profile
        profile.disable()
        file = os.path.join(folder, str(next(numbers)))
        profile.dump_stats(f"{file}.part")
        os.rename(f"{file}.part", file)
        profile = cProfile.Profile(time.process_time)
        profile.enable()

    signal.signal(signal.SIGUSR2, cut)
    profile.enable()
    from ipad_agent.__main__ import main as run

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
