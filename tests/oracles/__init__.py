"""Second parties: the zoo against modules that other people wrote, with the same weights."""
