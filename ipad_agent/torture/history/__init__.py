"""A seed's history as plain values, and the log of what happened.

It may import the lab's words only. The world, the faults and the promises read it.
"""
