"""One profile download from its order to its result (SGP.32 §3.2.3).

It may import delivery, servers and switching. ``profile_download.carry_out`` and ``resume`` leave it,
and ``device_initiated_download`` for a person's.
"""
