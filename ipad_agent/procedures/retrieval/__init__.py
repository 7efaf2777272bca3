"""eIM package retrieval (SGP.32 §3.1.1.1): a poll, which uses all other procedures.

It may import every procedure. ``eim_package_retrieval.poll`` leaves it.
"""
