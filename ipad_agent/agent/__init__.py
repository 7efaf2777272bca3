"""The running agent: one loop that finds the card, polls each eIM when it is due, and never ends while there is power.

It knows procedures, policies and the status board; every real room comes in through ``dependencies.Dependencies``.
``main_loop.Agent`` leaves it, for the daemon and for the torture run.
"""
