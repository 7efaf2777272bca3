"""What one says to an eIM: ESipa functions over any carrier, and where the eIM is."""

from .client import EimClient
from .endpoint import EndpointOverrides, ProtocolBits, endpoint_for
from .errors import CarrierExcluded, EndpointUnknown, TrustUnknown, UnreadableAnswer

__all__ = [
    "CarrierExcluded",
    "EimClient",
    "EndpointOverrides",
    "EndpointUnknown",
    "ProtocolBits",
    "TrustUnknown",
    "UnreadableAnswer",
    "endpoint_for",
]
