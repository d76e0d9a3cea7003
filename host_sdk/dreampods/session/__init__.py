"""A session: the sleepers' rhythms, what they share, the sound it becomes, and the record of it."""

from .moment import Moment, PodMoment
from .session import Session

__all__ = ["Moment", "PodMoment", "Session"]
