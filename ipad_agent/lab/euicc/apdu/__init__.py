"""The card's contacts: APDUs, logical channels, command dispatch, the profile's file system.

It may import every function of the card. ``smart_card.SmartCard`` leaves it.
"""
