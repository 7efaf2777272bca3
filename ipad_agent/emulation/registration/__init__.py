"""How an emulated card gets its eIM and its key in one file (the bundle), and how its eIM gets to know the key (by the
import file, which a person carries or the self-binding sends).

Knows the form of both files, what a bundle does to the state of a card, and what an answer to the self-binding means;
disk and network come in as protocols.
"""
