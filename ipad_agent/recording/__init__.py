"""What was said to modem, card and servers, on the disk and taken away from it: the ring, the redaction, the exports.

May import the codec only. Leaves it: ``SegmentRing``, the reader, and everything that turns records into files.
"""
