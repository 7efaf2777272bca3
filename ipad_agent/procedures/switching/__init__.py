"""A switch of the enabled profile as a transaction: armed, proved or taken back, whoever ordered it.

It may import the ground, the records and the delivery. ``switch_transaction``, ``profile_proof`` and ``local_switch``
leave it.
"""
