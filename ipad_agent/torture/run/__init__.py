"""Living through one history or many, and the command for it.

It may import agent and lab. ``torture_command`` is ``ipad-agent lab torture``.
"""
