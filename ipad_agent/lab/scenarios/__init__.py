"""The stories that ``ipad-agent lab run`` can tell. Each module registers its own."""
