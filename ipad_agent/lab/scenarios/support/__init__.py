"""What the stories share: benches, batches of orders, looks at card, eIM and network.

It may import the whole lab. Steps leave it; what is claimed is read from card, modem and eIM, never from the agent's
words.
"""
