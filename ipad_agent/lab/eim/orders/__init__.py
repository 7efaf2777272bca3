"""What can be ordered: bytes of packages, words for them, signing.

It may import keys and records. ``order_verbs.build_order`` leaves it.
"""
