"""Modem, eUICC, eIM, SM-DP+, SM-DS and a bad network for the demo, for tests, and for people without hardware.

It imports nothing of the agent, so that the two cannot share a mistake. ``bench`` puts the parts together,
``scenarios`` tell stories on it, ``command`` is for a terminal.
"""
