"""Those the agent speaks to in a history: eIMs with their doors, the SM-DP+, and the keys of both.

It may import agent and lab. ``observed_eim.ObservedEim`` leaves it.
"""
