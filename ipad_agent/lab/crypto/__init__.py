"""TLVs, ECDSA and the protection of profile packages, for every part of the lab.

It imports no other part of the lab. ``der`` is what lab code reads and writes messages with.
"""
