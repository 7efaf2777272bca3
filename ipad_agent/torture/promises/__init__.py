"""The promises of the agent, checked on a world that came to rest.

It may import agent and lab. ``promise_checks`` is called by the run.
"""
