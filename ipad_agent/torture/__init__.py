"""The whole agent against the lab's parts in memory, through random histories with random faults, in virtual time.

A *seed* makes a history: what eIMs order, where which profile has coverage, and what breaks when.
``history_run.run_seed`` lives through it, heals everything, lets the agent come to rest and hands what happened to
``promise_checks``, which knows the promises of this agent and nothing of the history. The same seed gives the
same story, to the last sentence.

What runs is the real thing from ``Agent`` down to the bytes: procedures, card and modem rooms, CoAP, journal and
memory. Not real are the serial driver, UDP and OpenSSL, whose places are taken by ``memory_serial_line``,
``simulated_network`` and ``dtls_stand_in``; what only these can break is left to the lab's scenarios.
"""

from __future__ import annotations

__all__: list[str] = []
