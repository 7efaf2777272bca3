"""How the line is reached: a pty, or a pace in memory.

It may import the modem. ``modem_pty.PtyModem`` leaves it.
"""
