"""The virtual pod's crystal, and the interrupts that run from it.

True time is the PC's monotonic clock. The pod's crystal runs a few millionths fast or slow of it,
and everything on the board counts its ticks: the CPU's clock, the timers, the I2S. Interrupts are
a discrete-event simulation that catches up with true time whenever the firmware looks at the clock
or waits: each handler runs in order and sees the time at which it would have run on the chip, so that
a PC that was busy for some milliseconds does not turn into jitter the board would not have.
"""

import json

import micropython
import pc
import utime

with pc.open("crystal.json") as _file:
    _settings = json.load(_file)

PPB = _settings["ppb"]  # the crystal's error in parts per thousand million
START = _settings["ticks_start"]  # what the ticks read at power-on
EPOCH_US = _settings["epoch_us"]  # true time at which the sleeper's recordings began
BOOT_US = utime.ticks_us()

with pc.open("power-on.json", "w") as _file:  # for those who check what the pod says of its clock
    json.dump({"true_us": BOOT_US, "ticks": START, "ppb": PPB}, _file)

NEVER = 1 << 60
_LONGEST_SLEEP_US = 10_000
_WORTH_SLEEPING_US = 200  # shorter waits are over before the PC wakes us

_LONGEST_LOOK_AWAY_US = 1_000_000

_sources = []
_running = False
_frozen = -1
_at_prompt = False
_looked = 0
away = 0  # how often nobody looked at the clock for long, because the board was at its prompt


class _Never:
    due = NEVER


_first = _Never()


def counted():
    """Microseconds the crystal has counted since power-on; inside an interrupt, those at its time."""
    return _frozen if _frozen >= 0 else now()


def now():
    """The same, inside an interrupt too."""
    elapsed = utime.ticks_us() - BOOT_US
    return elapsed + elapsed * PPB // 1_000_000_000


def true_us(count):
    """The true time at which the crystal has counted `count` microseconds."""
    return BOOT_US + count - count * PPB // (1_000_000_000 + PPB)


def since_epoch_us():
    """For how long the sleeper has been lying here, resets of the pod or not."""
    return utime.ticks_us() - EPOCH_US


def attach(source):
    """Add a source of interrupts: `due` is the count of the next one, `fire()` runs it.

    `wake` is the count at which it next calls something that would end an idle processor's sleep.
    """
    _sources.append(source)


def wake():
    """The count at which the next callback comes."""
    first = counted() + _LONGEST_SLEEP_US
    for source in _sources:
        if source.wake < first:
            first = source.wake
    return first


def detach(source):
    """The opposite of `attach`."""
    if source in _sources:
        _sources.remove(source)


def wait_at_the_prompt():
    """From now on MicroPython's prompt runs, which waits for the host without looking at our clock."""
    global _at_prompt
    _at_prompt = True


def soon(callback, argument):
    """Run a soft callback; false if too many are waiting already, and this one is lost as on a chip."""
    try:
        micropython.schedule(callback, argument)
    except RuntimeError:
        return False
    return True


def spend(us):
    """What the processor waits for a bus. In an interrupt time stands still, and so nothing is waited."""
    if _running:
        return
    until = counted() + us
    left = us
    while left > 0:
        if left > _WORTH_SLEEPING_US:
            utime.sleep_us(min(left, 1000) - _WORTH_SLEEPING_US // 2)
        service()
        left = until - counted()


def service():
    """Run all interrupts that are due."""
    global _running, _frozen, _looked, away
    if _running:
        return
    now = counted()
    if _at_prompt and now - _looked > _LONGEST_LOOK_AWAY_US:
        away += 1
    _looked = now
    _running = True
    try:
        while True:
            first = _first
            for source in _sources:
                if source.due < first.due:
                    first = source
            if first.due > now:
                break
            _frozen = first.due
            first.fire()
    finally:
        _frozen = -1
        _running = False


def busy():
    """True while an interrupt runs."""
    return _running
