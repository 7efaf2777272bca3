"""How an emulated card gets its eIM and its key in one file, and how its eIM gets to know the key.

Knows the form of the file, what it does to the state of a card, and what an answer to the self-binding means; disk and
network come in as protocols.
"""
