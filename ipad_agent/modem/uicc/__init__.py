"""The card behind a modem: logical channels by AT+CCHO/CGLA or AT+CSIM, and the reset ladder.

It may import AT commands and the seam to the card room. ``modem_card_access.ModemCardAccess`` leaves it.
"""
