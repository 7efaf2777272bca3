"""How one reaches the card through a modem's AT port.

``modem_card_access.ModemCardAccess`` is the card access; it needs a ``byte_stream.PortOpener``
(``serial_port.SerialPortOpener`` for real ports) and module profiles (``module_profile_files.load``).
"""
