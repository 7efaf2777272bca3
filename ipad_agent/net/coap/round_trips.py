"""How long to wait for an answer before the request is sent again: by measured round trips (RFC 6298, RFC 8961).

CoAP's own wait of 2 s (RFC 7252 §4.8) is for a path that nobody has measured. It stays the first of every session. A
link that answers in 50 ms and loses every third datagram would otherwise be waited for nearly all of the time.
"""

from __future__ import annotations

from typing import Final

LEAST_S: Final = 0.25
"""Never less than this, whatever was measured: delayed scheduling of a cell or of the server is no loss."""
LONGEST_S: Final = 60.0
STEADY_S: Final = 3.0
"""Once in so many seconds may be sent on a path of which nothing is known (RFC 8085 §3.1.3). In a session, where the
handshake at least came through a moment ago, repetitions are at first not much further apart than that: doubling would
only wait out what is loss."""
STEADY_UNTIL_S: Final = 20.0
_SRTT_GAIN, _VARIANCE_GAIN, _VARIANCES = 1 / 8, 1 / 4, 4


class RoundTrips:
    """The estimate of one path. ``first_s`` is used until something was measured, and never goes below it."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._smoothed_s: float | None = None
        self._variance_s = 0.0

    @property
    def wait_s(self) -> float:
        """Before the first repetition of a request; each further wait is twice the one before."""
        if self._smoothed_s is None:
            return self._first_s
        least_s = min(LEAST_S, self._first_s)  # a bench may configure less
        return min(LONGEST_S, max(least_s, self._smoothed_s + _VARIANCES * self._variance_s))

    def next_wait_s(self, wait_s: float, silent_s: float) -> float:
        """After ``wait_s`` passed in vain and ``silent_s`` altogether: twice as long, with the exception above."""
        if silent_s < STEADY_UNTIL_S:
            return min(2 * wait_s, max(STEADY_S, 2 * self.wait_s))
        return min(2 * wait_s, LONGEST_S)

    def measured(self, round_trip_s: float) -> None:
        """One request and its acknowledgement, sent once only, or known to have been answered at the first sending
        (Karn's rule, RFC 6298 §3)."""
        if self._smoothed_s is None:
            self._smoothed_s, self._variance_s = round_trip_s, round_trip_s / 2
            return
        difference_s = abs(self._smoothed_s - round_trip_s)
        self._variance_s += _VARIANCE_GAIN * (difference_s - self._variance_s)
        self._smoothed_s += _SRTT_GAIN * (round_trip_s - self._smoothed_s)
