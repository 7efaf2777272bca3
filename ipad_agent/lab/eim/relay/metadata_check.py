"""Looking into profile metadata for an IPA that leaves it to the eIM (eimProfileMetadataVerification)."""

from __future__ import annotations

from ipad_agent.lab.crypto.der import Node

MAC_BYTES = 8


def policy_rules(metadata: Node) -> frozenset[int]:
    """The bits of profilePolicyRules in StoreMetadata (BF25)."""
    rules = metadata.find(0x99)
    return frozenset() if rules is None else rules.bits()


def bound_metadata(package: Node) -> bytes:
    """The BF25 in a BoundProfilePackage: its 88 segments are only signed, 8 bytes each (SGP.22 §2.5.4)."""
    return b"".join(segment.value[:-MAC_BYTES] for segment in package.get(0xA1).children)
