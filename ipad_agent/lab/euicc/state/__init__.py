"""What a card remembers: identity, profiles, eIMs, notifications, and how profiles change state.

It imports no function of the card. ``card_state.CardState`` and ``isdr_state.Isdr`` leave it.
"""
