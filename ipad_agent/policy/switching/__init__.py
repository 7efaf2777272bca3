"""The life of a switch of the enabled profile, as a table, and what proves a profile.

It may import time as a value. ``switch_table`` says what may follow what; ``procedures.switching`` does it.
"""
