"""Indirect downloads: ESipa on one side, ES9+' or ES11' on the other (SGP.32 §3.2.3.2).

It may import messages, records and signing. ``download_relay.Relay`` leaves it.
"""
