"""The face to the machine: one status model, a Varlink socket and a D-Bus service over it."""
