"""Makes a failing input small, so that a person sees what it is about."""

from __future__ import annotations

import time

from .engine import Failure, probe
from .target import Target

MOST_S = 20.0


def smaller(target: Target, failure: Failure, *, most_s: float = MOST_S) -> Failure:
    """The same kind of failure from an input that loses it when anything is cut out, or when time is up."""
    end_s = time.monotonic() + most_s
    size = len(failure.data) // 2
    while size >= 1 and time.monotonic() < end_s:
        at = 0
        while at < len(failure.data) and time.monotonic() < end_s:
            less = failure.data[:at] + failure.data[at + size :]
            found = probe(target, less, memory=failure.error is None)
            if found is not None and found.kind == failure.kind:
                failure = found
            else:
                at += size
        size //= 2
    return failure
