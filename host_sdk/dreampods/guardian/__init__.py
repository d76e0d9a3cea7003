"""The guardian: what may be done with whom, how loud it may be, and that it stops when told to."""

from .consent import USES, Consent, load_consent
from .gate import Gate, Limits

__all__ = ["USES", "Consent", "Gate", "Limits", "load_consent"]
