"""Whether connectivity is lost for good, and when to change to the fallback profile and back.

It may import time as a value and how a poll ended. ``guardian_rules`` decides; ``procedures.guardian`` remembers.
"""
