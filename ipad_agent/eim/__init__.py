"""What one says to an eIM: ESipa functions over any carrier, and where the eIM is."""

from .binding import BINDINGS, Binding
from .client import EimClient
from .endpoint import EndpointOverrides, ProtocolBits, endpoint_for
from .errors import CarrierExcluded, EndpointUnknown, FunctionRefused, TrustUnknown, UnreadableAnswer
from .failover import FailoverCarrier, Way
from .ways import WayOverrides, endpoints_for

__all__ = [
    "BINDINGS",
    "Binding",
    "CarrierExcluded",
    "EimClient",
    "EndpointOverrides",
    "EndpointUnknown",
    "FailoverCarrier",
    "FunctionRefused",
    "ProtocolBits",
    "TrustUnknown",
    "UnreadableAnswer",
    "Way",
    "WayOverrides",
    "endpoint_for",
    "endpoints_for",
]
