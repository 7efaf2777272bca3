"""The support bundle: collected, redacted, searched for leaks, packed.

It may read what the agent keeps; it opens neither card nor network. ``support_bundle.build`` leaves it.
"""
