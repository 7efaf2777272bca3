"""How one reaches the card through a modem's AT port.

``access.ModemCardAccess`` is the card access; it needs a ``stream.PortOpener`` (``serial_port.SerialPortOpener`` for
real ports) and module profiles (``profile.load(profile.search_path())``).
"""
