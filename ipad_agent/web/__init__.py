"""``ipad-agent-web``: a page about the device for people with a browser and no shell.

A process of its own, a client of the agent's socket like any other: it may import nothing of the agent but the ground
that all rooms stand on, it asks only what changes nothing, and the agent does not know it.
"""
