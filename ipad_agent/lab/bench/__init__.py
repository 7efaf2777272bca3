"""The bench: the lab's parts put together, and the real agent between them.

It may import the whole lab. ``lab_bench.Bench`` leaves it.
"""
