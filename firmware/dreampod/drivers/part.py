"""What all parts have in common: begin, work, fail, be tried again, come back.

A part that is absent or broken must never take the pod with it. Each driver says how to start its
chip and how to fetch from it; here is written what happens when that fails: three failures in a row
are a fault, told in one line that a person with a screwdriver understands, and the chip is started
anew at once if it had worked for a while, else after 1, 2, 4 and so on up to 30 seconds.

While a part is out its samples are lost, and their numbers are used up by the clock: a gap is data.
So a driver with streams must keep `sampled`, the ticks of its newest sample (an interrupt may write
it). That also shows a chip that answers but has fallen silent, and one that is really back: a fault
is over when there is a new sample.
"""

from dreampod.clock import ticks_add, ticks_diff, ticks_us

_FAILURES_IN_A_ROW = 3
_LONGEST_WAIT_S = 30
_STEADY_US = 10_000_000  # who worked for so long is started anew without waiting
_SILENT_US = 1_000_000  # and a few samples: then a part that answers is silent
_SILENT_SAMPLES = 5
_STALL_US = 500_000  # a loop that took so long was not listening


class Part:
    """Base of all drivers. They give `start` and `sample`, and say what they deliver in `streams`."""

    chip = ""  # its name, for people
    streams: list = []  # dicts: name unit rate_hz channels format scale offset block
    fault = "not started"  # None while the part works, else one line for people
    errors = 0  # failed attempts since boot
    poll_us = 0  # how often `sample` is called; 0: in each turn of the loop
    on_change = None  # called with the part whenever `fault` changes

    def __init__(self, spec, buses):
        self.spec = spec
        self.name = spec["name"]
        self.bus = buses.get(spec.get("bus"))
        self.address = spec.get("address", 0)
        self.period_us = 1_000_000  # between two samples; all streams of a part have one pace
        self._begun = False
        self._running = False
        self._failures = 0
        self._steady = False
        self._wait_s = 0

    # --- what a driver gives -----------------------------------------------------------------

    def start(self):
        """Check that it is the right chip and set it up. Raises OSError: what is wrong, what to check."""

    def sample(self, now):
        """Fetch what there is. Raises OSError."""

    def test(self):
        """For the self-test: what was measured, in a few words. Raises OSError: what to try."""
        if self.fault:
            raise OSError(self.fault)
        return "works"

    def end(self):
        """Be quiet and use no power."""

    def newest_of(self, count, now):
        """When the last of `count` new samples was taken, for a chip that keeps its own pace.

        One period each after the newest before; but not after `now`, when they were found, nor more
        than a period before it, or there would be another. So the chip's own pace is followed.
        """
        taken = ticks_add(self.sampled, count * self.period_us)
        age = ticks_diff(now, taken)
        if age < 0:
            return now
        if age > self.period_us:
            return ticks_add(now, -self.period_us)
        return taken

    # --- the life of a part ------------------------------------------------------------------

    def begin(self, streams):
        """Take the streams to push into, in the order of `self.streams`, and start."""
        self.outlets = streams
        if self.streams:
            self.period_us = 1_000_000 // self.streams[0]["rate_hz"]
        self._patience_us = _SILENT_US + _SILENT_SAMPLES * self.period_us
        self._try_first(ticks_us())

    def _try_first(self, now):
        self.sampled = self._heard = now
        self._retry = self._due = self._started = self._quiet = self._looked = now
        self._try_start(now)

    def step(self, now):
        """One turn: work, or see whether it can be had back."""
        if not self._running:
            if ticks_diff(now, self._retry) >= 0:
                self._try_start(now)
            return
        if not self._steady and ticks_diff(now, self._started) > _STEADY_US:
            self._steady = True
            self._wait_s = 0
        if self.poll_us:
            if ticks_diff(now, self._due) < 0:
                return
            self._due = ticks_add(now, self.poll_us)
        try:
            self.sample(now)
            self._failures = 0
        except OSError as error:
            self.errors += 1
            self._failures += 1
            # A driver that has words for it is sure; a bare error number may be a glitch
            if self._failures >= _FAILURES_IN_A_ROW or isinstance(error.args[0], str):
                self._fail(now, self._explain(error))
            return
        if self.streams:
            self._listen(now)

    def _listen(self, now):
        """See whether samples come, or come again."""
        if self.sampled != self._heard:
            self._heard = self.sampled
            self._quiet = now
            self._change(None)
        elif ticks_diff(now, self._looked) > _STALL_US:
            self._quiet = now  # nobody could hear anything
        elif ticks_diff(now, self._quiet) > self._patience_us:
            self.errors += 1
            self._fail(now, "answers but gives no samples: check its supply")
        self._looked = now

    def _try_start(self, now):
        self._skip_what_is_lost(now)
        try:
            self.start()
        except OSError as error:
            self.errors += 1
            self._fail(now, self._explain(error))
            return
        self._running = True
        self._failures = 0
        self._steady = False
        self._started = self._due = self._quiet = self._looked = now
        if not self._begun:
            self._begun = True
            self.sampled = now
            self._change(None)
        elif not self.streams:
            self._change(None)
        self._heard = self.sampled

    def _skip_what_is_lost(self, now):
        """Use up the numbers of the samples that came while nobody fetched them."""
        if not self._begun or not self.streams:
            return
        # Called at least every 30 s, so that the ticks do not wrap unseen
        lost_us = ticks_diff(now, self.sampled)
        count = lost_us // self.period_us
        if count > 0:
            for stream in self.outlets:
                stream.skip(count)
            self.sampled = ticks_add(now, count * self.period_us - lost_us)

    def _fail(self, now, text):
        self._running = False
        self._retry = ticks_add(now, self._wait_s * 1_000_000)
        self._wait_s = min(max(1, 2 * self._wait_s), _LONGEST_WAIT_S)
        self._change("%s (%s): %s" % (self.name, self.chip, text))

    def _explain(self, error):
        """What to tell people: the driver's own words, or what the bus finds out about its wires."""
        if self.bus is None:
            return str(error)
        return self.bus.diagnose(self.address, error)

    def _change(self, fault):
        if fault == self.fault:
            return
        self.fault = fault
        if self.on_change is not None:
            self.on_change(self)
