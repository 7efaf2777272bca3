"""IPAd (IoT Profile Assistant in the device, GSMA SGP.32 v1.2 and v1.3) for Linux gateways and modems."""

__version__ = "0.1.0"
