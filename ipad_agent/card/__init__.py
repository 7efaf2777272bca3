"""What one says to an eUICC.

``es10_functions.Euicc`` has one method per ES10 function, which ``es10_calls.Es10Calls`` calls;
``isdr_session.IsdrSession`` holds the channel for it; ``bpp_segments.split`` cuts a profile package into segments.
``apdu_channel`` is the seam to whatever reaches the card: nothing else of this room is needed there.
"""
