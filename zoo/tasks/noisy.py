"""In-context recall among noise: a fifth of the pairs mean nothing and are of other words.

After Poli et al., MAD (2024, arXiv:2403.17844): 32 words, 16 of them noise, rows of 128. Here rows are of 64.
"""

from zoo.tasks.in_context import InContext

task = InContext(vocabulary=32, noises=16, noise=0.2)
