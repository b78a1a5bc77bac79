"""The counting tree: every node counts exactly, ranks and unranks; nothing is built."""
