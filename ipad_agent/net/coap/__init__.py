"""CoAP over DTLS (SGP.32 §6.2): the carrier, one association, block-wise transfer.

It may import DTLS, trust and the ground of the network room; nothing of HTTP. ``coaps_carrier.CoapsCarrier`` leaves it.
"""
