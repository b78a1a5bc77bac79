"""What a file says of itself: the comment lines at its head, and whether its claims are true.

A claim is verified twice, by analysis of the graph and by running the compiled module, and the two must agree.
"""

from anatomy.claims.head import Claim, Head, read_head
from anatomy.claims.verify import verify

__all__ = ["Claim", "Head", "read_head", "verify"]
