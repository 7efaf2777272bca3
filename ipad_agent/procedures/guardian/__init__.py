"""The guardian of the device's connectivity: looks, remembers, decides with ``policy.guardian``.

It may import the ground, the records and switching. ``connectivity_guardian.Guardian`` leaves it.
"""
