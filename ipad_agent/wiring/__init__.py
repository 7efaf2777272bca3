"""The real rooms, built from the configuration: serial port, card, journal, carriers, network and site.

It may import every room that touches the world; it runs nothing. ``configured_card``, ``eim_links`` and
``device_network`` are for the daemon and the doctor.
"""
