"""Transports: one worker function, reached in this process, in others, through Ray, or through a folder."""
