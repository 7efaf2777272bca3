"""``ipad-agent lab``: the lab in a terminal, its orders from a second one.

It may import the whole lab. ``lab_command.run`` leaves it.
"""
