"""Whom to trust and the verdict on a server's certificates.

It may import the ground of the network room; it opens no connection. ``pinned_trust.Trust`` and
``certificate_chain.judge`` leave it.
"""
