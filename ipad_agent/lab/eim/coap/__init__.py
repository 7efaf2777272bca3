"""The eIM's port for CoAP over DTLS: records, sessions, CoAP, block-wise.

It may import the application's seam; it knows no ESipa message. ``coaps_server.CoapsServer`` leaves it.
"""
