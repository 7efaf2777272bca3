"""What one says to an eUICC.

``euicc.Euicc`` has one method per ES10 function; ``isdr.IsdrSession`` holds the channel for it; ``bpp.split`` cuts a
profile package into segments. ``channel`` is the seam to whatever reaches the card: nothing else of this room is
needed there.
"""
