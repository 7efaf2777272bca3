"""HTTPS (SGP.32 §6.1, SGP.22 §6): the carrier, one connection, one TLS session.

It may import trust and the ground of the network room; nothing of CoAP. ``https_carrier.HttpsCarrier`` leaves it.
"""
