"""Certificates: the proof of an upper bound as data, and a checker of its own that shares no code with the regularity check.

A certificate holds a diagram at given sizes, its weights, and for every node that is not linear what is claimed of its
result on the domain; the checker proves each claim from the claims before it, by rules stated in this package alone, in
ball arithmetic. The numbers that have to be found (bounds of spectral norms, weights of a sum of squares) stand in the
certificate too, and are proved, not trusted.
"""

from anatomy.certificates.model import Certificate
from anatomy.certificates.writing import Checked, certify, verify

__all__ = ["Certificate", "Checked", "certify", "verify"]
