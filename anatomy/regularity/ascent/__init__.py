"""The ascent behind a lower bound: where it starts, what it climbs, how it moves, and how its find is confirmed."""
