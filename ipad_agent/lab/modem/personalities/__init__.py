"""One table per maker: what is reported of its modules, as switches of ``ModemOptions``.

It may import the switches. ``FAMILIES`` of each file leaves it; ``module_personality`` puts them together.

What nobody reports is left as 3GPP TS 27.007 has it, or chosen so that the families differ and every manner occurs
somewhere; such a choice is marked "chosen". The agent's profiles are not consulted: the two must not share a mistake.
"""
