"""What one says to an eIM: ESipa functions over any carrier, and where the eIM is."""

from .carrier_choice import WayOverrides, endpoints_for
from .carrier_failover import FailoverCarrier, Way
from .eim_endpoint import EndpointOverrides, ProtocolBits, endpoint_for
from .errors import CarrierExcluded, EndpointUnknown, FunctionRefused, TrustUnknown, UnreadableAnswer
from .esipa_binding import BINDINGS, Binding
from .esipa_client import EimClient
from .esipa_dialect import DialectChoice, DialectMemory, PeerDialect

__all__ = [
    "BINDINGS",
    "Binding",
    "CarrierExcluded",
    "DialectChoice",
    "DialectMemory",
    "EimClient",
    "EndpointOverrides",
    "EndpointUnknown",
    "FailoverCarrier",
    "FunctionRefused",
    "PeerDialect",
    "ProtocolBits",
    "TrustUnknown",
    "UnreadableAnswer",
    "Way",
    "WayOverrides",
    "endpoint_for",
    "endpoints_for",
]
