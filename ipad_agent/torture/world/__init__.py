"""Everything there is in one seed: network, serial line, card, eIMs, disk, time, and the agent's process.

It may import agent and lab. ``torture_world.World`` leaves it.
"""
