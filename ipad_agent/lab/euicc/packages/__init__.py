"""eUICC packages at the card: verified, run once, signed, and rolled back (SGP.32 §5.9.1, §5.9.16).

It may import ES10 functions and the card's memory. ``load_euicc_package`` and ``rollback`` leave it.
"""
