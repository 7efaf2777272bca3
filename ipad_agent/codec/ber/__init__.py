"""BER and DER: the TLV walker, reading fields by tag, object identifiers, the compiled ASN.1 modules, names of numbers.

It may import nothing of the agent but identifiers and tolerances. ``tlv`` and ``tlv_fields`` are what every message
parser stands on.
"""
