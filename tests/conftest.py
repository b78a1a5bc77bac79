"""What all tests share: small tensors on one thread, and no deadlines, for machines are shared and noisy."""

from __future__ import annotations

import hypothesis
import torch

hypothesis.settings.register_profile("anatomy", deadline=None)
hypothesis.settings.load_profile("anatomy")
torch.set_num_threads(1)
