"""What the procedures keep over a power cut: owed work, the open switch, counters, changes not yet told.

It may import codec, policy and ``ports``; it starts no procedure. One class per record leaves it; ``context.Context``
carries them.
"""
