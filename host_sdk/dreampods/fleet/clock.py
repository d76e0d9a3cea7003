"""What time a pod's clock shows: offset and rate from probes, with an uncertainty.

A probe brings four stamps (Mills, RFC 5905, section 8): sent and received by the host, received and
answered by the pod. Half the round trip is the best guess for one way, and its error is at most
what the round trip took beyond the shortest possible. So each probe is weighted by its excess over
the shortest round trip of the last minute, and a straight line through the weighted probes gives
offset *and* rate; in a simulated Wi-Fi that is five times better than the usual rule (take the
probe with the shortest round trip, no rate). How well the line is known is told from how the probes
scatter around it. A difference between the two directions that is always the same cannot be seen by
any two-way method, and makes no scatter: it is stated beside, as half the shortest round trip, which
it cannot exceed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

WINDOW_S = 60.0
BURST_PROBES = 8
BURST_SPACING_S = 0.02
BURST_EVERY_S = 2.0

_WRAP_US = 1 << 32
_FLOOR_S = 20e-6  # what stamps scatter even without queueing: scheduling on both sides
_RATE_PRIOR = 100e-6  # crystals are within 100 ppm; matters in the first seconds only
_OUTLIER_SIGMAS = 5.0
_OUTLIERS_IN_A_ROW = (
    BURST_PROBES  # so many agree that a clock has stepped (a host that was asleep)
)
_FEWEST = 4
# By how much stamps are off on both ends together: waking up and reading a clock takes some ten
# microseconds, on a quiet machine nearly always the same, so that no scatter shows it
_STAMP_US = 12.0
_DOUBT_PROBES = 8.0  # how many probes it takes to believe their scatter rather than the floor


@dataclass(frozen=True, slots=True)
class ClockMap:
    """host_ns ↔ pod_us (counted on over the 32-bit wraps), valid around `host_ns`.

    `rate` is pod seconds per host second. `sigma_us` is the standard uncertainty now, which grows by
    `rate_sigma` with the time since the last probe; `asymmetry_us` bounds what one direction may
    always be slower than the other.
    """

    host_ns: int
    pod_us: float
    rate: float
    sigma_us: float
    rate_sigma: float
    asymmetry_us: float
    best_rtt_us: float
    probes: int

    def to_pod_us(self, host_ns: float) -> float:
        """Pod time, µs, at a host time."""
        return self.pod_us + (host_ns - self.host_ns) * 1e-3 * self.rate

    def to_host_ns(self, pod_us: float) -> float:
        """Host time, ns, at a pod time."""
        return self.host_ns + (pod_us - self.pod_us) / self.rate * 1e3

    def sigma_at(self, host_ns: float) -> float:
        """Standard uncertainty in µs at a host time."""
        away_s = abs(host_ns - self.host_ns) * 1e-9
        return math.hypot(self.sigma_us, away_s * self.rate_sigma * 1e6)

    @property
    def ppm(self) -> float:
        """By how many millionths the pod's clock runs fast."""
        return (self.rate - 1.0) * 1e6

    @property
    def offset_us(self) -> float:
        """Pod time minus host time, µs, at `host_ns`."""
        return self.pod_us - self.host_ns * 1e-3


class PodClock:
    """Collects the probes of one pod's life (one boot) and fits the map."""

    def __init__(self) -> None:
        self.map: ClockMap | None = None
        self.outliers = 0
        # host_ns, pod - host in s, rtt in s
        self._probes: deque[tuple[int, float, float]] = deque()
        # The outliers since the last good probe
        self._doubted: list[tuple[int, float, float]] = []
        self._last_us: int | None = None
        self._origin_ns = 0
        self._origin_us = 0

    def extend(self, pod_us: int) -> int:
        """A 32-bit stamp of about now, counted on over the wraps."""
        if self._last_us is None:
            self._last_us = pod_us
        near = self._last_us
        full = near + (pod_us - near + _WRAP_US // 2) % _WRAP_US - _WRAP_US // 2
        self._last_us = max(near, full)
        return full

    def add(self, sent_ns: int, received_us: int, answered_us: int, got_ns: int) -> None:
        """Take the four stamps of one probe."""
        if self._last_us is not None and self.map is not None:
            # After a long absence the map knows better than the last stamp how often the clock wrapped
            self._last_us = max(self._last_us, round(self.map.to_pod_us(sent_ns)))
        received = self.extend(received_us)
        answered = self.extend(answered_us)
        rtt_s = (got_ns - sent_ns) * 1e-9 - (answered - received) * 1e-6
        if rtt_s <= 0:
            self.outliers += 1
            return
        middle_ns = (sent_ns + got_ns) // 2
        if not self._probes:
            self._origin_ns, self._origin_us = middle_ns, received
        offset_s = ((received + answered) / 2 - self._origin_us) * 1e-6
        offset_s -= (middle_ns - self._origin_ns) * 1e-9
        if self.map is not None and self.map.probes >= BURST_PROBES:
            expected_us = self.map.to_pod_us(middle_ns)
            error_s = abs((received + answered) / 2 - expected_us) * 1e-6
            # Half of what the round trip took too long is no outlier, it is what the weight is for
            sigma_s = self.map.sigma_at(middle_ns) * 1e-6 + _FLOOR_S
            slack_s = rtt_s / 2 + _OUTLIER_SIGMAS * sigma_s
            if error_s > slack_s:
                self.outliers += 1
                self._doubted.append((middle_ns, offset_s, rtt_s))
                if len(self._doubted) < _OUTLIERS_IN_A_ROW:
                    return
                self._probes = deque(self._doubted[:-1])
        self._doubted.clear()
        self._probes.append((middle_ns, offset_s, rtt_s))
        while middle_ns - self._probes[0][0] > WINDOW_S * 1e9:
            self._probes.popleft()
        if len(self._probes) >= _FEWEST:
            self._fit(middle_ns)

    def _fit(self, now_ns: int) -> None:
        when = np.array([(probe[0] - now_ns) * 1e-9 for probe in self._probes])
        offset = np.array([probe[1] for probe in self._probes])
        rtt = np.array([probe[2] for probe in self._probes])
        shortest = float(rtt.min())
        excess = rtt - shortest
        # The shortest seen is not yet the shortest there is, by about the mean spacing of round trips
        sigma = _FLOOR_S + excess + excess.mean() / len(excess)
        weight = 1.0 / sigma**2
        base = offset[-1]
        # Weighted least squares with a prior on the rate: a 2 x 2 system, solved by hand
        s0, s1, s2 = weight.sum(), (weight * when).sum(), (weight * when**2).sum()
        s2 += _RATE_PRIOR**-2
        y0, y1 = (weight * (offset - base)).sum(), (weight * when * (offset - base)).sum()
        det = s0 * s2 - s1 * s1
        at_now = (s2 * y0 - s1 * y1) / det
        rate = (s0 * y1 - s1 * y0) / det
        residual = offset - base - at_now - rate * when
        # The weights say which probes to trust, not how large their errors are. So the covariance is
        # taken from the residuals themselves (White 1980), each enlarged by its leverage; while
        # probes are few, what the weights suppose is mixed in.
        inverse = np.array([[s2, -s1], [-s1, s0]]) / det
        design = np.stack([np.ones_like(when), when], axis=1)
        leverage = weight * np.einsum("ni,ij,nj->n", design, inverse, design)
        pull = design * (weight * residual / (1.0 - np.minimum(leverage, 0.9)))[:, None]
        doubt = _DOUBT_PROBES / (len(when) + _DOUBT_PROBES)
        covariance = inverse @ (pull.T @ pull) @ inverse + doubt * inverse
        pod_us = self._origin_us + (now_ns - self._origin_ns) * 1e-3 + (base + at_now) * 1e6
        self.map = ClockMap(
            host_ns=now_ns,
            pod_us=float(pod_us),
            rate=float(1.0 + rate),
            sigma_us=math.hypot(1e6 * math.sqrt(covariance[0, 0]), _STAMP_US),
            rate_sigma=math.sqrt(covariance[1, 1]),
            asymmetry_us=1e6 * shortest / 2,
            best_rtt_us=shortest * 1e6,
            probes=len(when),
        )
