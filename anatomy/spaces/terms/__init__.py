"""Members of a space as hash-consed terms: what they share is made, keyed and evaluated once."""
