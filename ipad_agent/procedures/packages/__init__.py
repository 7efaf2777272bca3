"""One eUICC package or data request from its arrival to its result (SGP.32 §3.1.2, §3.3.1).

It may import delivery and switching. ``retrieval`` calls it.
"""
