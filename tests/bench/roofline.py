"""How far each kernel is from what the machine can do at most: `python tests/bench/roofline.py`.

A kernel that does F operations on B bytes can take no less than F / peak, and no less than B / bandwidth
(Williams, Waterman & Patterson 2009, doi 10.1145/1498765.1498785). The longer of both is its roof; how much
of it is reached says what is left to win. Counted is what the definition of the result needs, not what our
code happens to do: a kernel that does things twice is far from its roof. Bandwidth is that of the cache
into which what one call touches fits.

To add a kernel, write a function that returns a `Kernel` and put it into `KERNELS`. Writes roofline.md
and roofline.png into the folder named as the argument, the present one without.
"""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from dreampods.resonance import new_frames
from dreampods.resonance._kernel import ffi, lib, pointer

mpl.use("Agg")
from matplotlib import pyplot as plt

# Working sets for L1, L2, L3 and memory: each well inside the usual size of one and beyond the one before.
WORKING_SETS = (24 << 10, 384 << 10, 6 << 20, 192 << 20)
SHORTEST_S = 0.02  # of one timed run
RUNS = 15


@dataclass(frozen=True)
class Kernel:
    """One call of a kernel, and what it must do at least.

    bytes: read and written, each array once. flops: additions and multiplications, 0 for whole numbers.
    precision: "float" or "double", where the flops happen. touched: bytes that one call finds in a
    cache, if they are more than `bytes`.
    """

    name: str
    call: Callable[[], object]
    bytes: float
    flops: float
    precision: str
    touched: float = 0.0


@dataclass(frozen=True)
class Machine:
    """Peaks in flop/s, bandwidths in bytes/s by working set, of one core."""

    vector_bytes: int
    peak: dict[str, float]
    bandwidth: list[tuple[int, float]]

    def bandwidth_for(self, touched: float) -> float:
        """Of the smallest working set that holds what is touched."""
        for size, rate in self.bandwidth:
            if touched <= size:
                return rate
        return self.bandwidth[-1][1]


def measure_machine() -> Machine:
    """Compiles and runs machine.c with what the processor has."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "machine"
        source = Path(__file__).with_name("machine.c")
        flags = ["-std=c11", "-O3", "-march=native", "-ffp-contract=fast"]
        if platform.machine() in ("x86_64", "AMD64"):
            flags.append("-mprefer-vector-width=512")
        subprocess.run([compiler, *flags, str(source), "-o", str(program)], check=True)
        sizes = [str(size) for size in WORKING_SETS]
        found = json.loads(subprocess.run([program, *sizes], capture_output=True, check=True).stdout)
    return Machine(
        found["vector_bytes"],
        {"float": found["float_gflop_s"] * 1e9, "double": found["double_gflop_s"] * 1e9},
        [(size, rate * 1e9) for size, rate in found["bandwidth"]],
    )


def seconds(call: Callable[[], object]) -> float:
    """The shortest time of one call."""
    turns = 1
    while True:
        start = time.perf_counter()
        for _ in range(turns):
            call()
        if time.perf_counter() - start > SHORTEST_S:
            break
        turns *= 2
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        for _ in range(turns):
            call()
        best = min(best, (time.perf_counter() - start) / turns)
    return best


# --- the kernels -----------------------------------------------------------------------------

DICE = np.random.default_rng(5)


def pairs_push() -> Kernel:
    """A frame enters the sums of all pairs and another leaves: two complex products a pair, 16 operations."""
    pods, bands, frames = 64, 8, 10
    u = np.exp(1j * DICE.uniform(-np.pi, np.pi, (frames, pods, bands)))
    given = pointer(u)
    pairs = ffi.gc(
        lib.rs_pairs_new(pods, bands, 1000, 0.0, lib.rs_pair_sums_for(lib.RS_PLV), 0, 0), lib.rs_pairs_free
    )
    for _ in range(100):  # the window is full: from now on frames leave
        lib.rs_pairs_push(pairs, frames, given, ffi.NULL)
    each = bands * pods * (pods - 1) / 2
    return Kernel(
        "pairs push, 64 pods x 8 bands, 10 frames",
        lambda: lib.rs_pairs_push(pairs, frames, given, ffi.NULL),
        bytes=2 * u.nbytes + 2 * 16 * each,
        flops=frames * 16 * each,
        precision="double",
        touched=2 * u.nbytes + 4 * 16 * each,
    )


def order() -> Kernel:
    """Sine and cosine of each phase, to 1e-16: a reduction (4) and two polynomials of 7 terms (28)."""
    phase = DICE.uniform(-np.pi, np.pi, 4096)
    sums, given = ffi.new("rs_order_sums *"), pointer(phase)
    return Kernel(
        "order add, 4096 phases",
        lambda: lib.rs_order_add(sums, len(phase), given, ffi.NULL),
        bytes=phase.nbytes,
        flops=len(phase) * 34,
        precision="double",
    )


def mixer() -> Kernel:
    """A sample: 2 for the bus, 5 for the mix, 4 for ramps, 5 for peak, gain and mean square."""
    pods, frames = 64, 640
    own = (0.02 * DICE.standard_normal((pods, frames, 2))).astype(np.float32)
    common, bus = own[0].copy(), np.empty((frames, 2), np.float32)
    gain, ceiling = np.full(pods, 0.5, np.float32), np.ones(pods, np.float32)
    mixes, levels = np.empty_like(own), np.empty((pods, 5), np.float32)
    mix = ffi.gc(lib.rs_mixer_new(pods, frames, 2, 32000.0, 0.0015, 0.08), lib.rs_mixer_free)
    gains = [pointer(gain)] * 3
    given = [pointer(own), pointer(common), *gains, ffi.NULL, pointer(ceiling), ffi.NULL]
    out = [pointer(mixes), pointer(bus), ffi.from_buffer("rs_level[]", levels)]
    return Kernel(
        "mixer, 64 pods x 640 frames, stereo",
        lambda: lib.rs_mixer_process(mix, *given, *out),
        bytes=own.nbytes + mixes.nbytes + common.nbytes + bus.nbytes,
        flops=own.size * 16,
        precision="float",
    )


def resampler() -> Kernel:
    """A tap: 2 to interpolate its coefficient, 2 for each channel."""
    frames = 640
    sinc = ffi.gc(lib.rs_sinc_new(32000.0, 32000.0), lib.rs_sinc_free)
    pod = ffi.gc(lib.rs_resampler_new(sinc, 2, 4096, 1), lib.rs_resampler_free)
    x, pcm = DICE.uniform(-0.5, 0.5, (2048, 2)).astype(np.float32), np.empty((frames, 2), np.int16)
    lib.rs_resampler_write(pod, len(x), pointer(x))
    taps, out = 2 * lib.rs_sinc_reach(sinc), pointer(pcm)
    return Kernel(
        "resampler, 640 frames, stereo",
        # The resampler reads the sinc but does not own it: whoever calls keeps it
        lambda _needed=sinc: lib.rs_resampler_read(pod, 100.3, 1.00003, frames, out),
        bytes=8 * frames + pcm.nbytes,
        flops=frames * taps * 6,
        precision="float",
        touched=8 * frames + pcm.nbytes + 257 * taps * 4,
    )


def resonators() -> Kernel:
    """A band: complex product and sum (8), its phasor with the mean taken out and the fit (16)."""
    channels, frames = 64, 50
    freq, width = np.array([0.1, 0.25, 1.0, 3.0, 6.0, 10.0, 13.0, 20.0]), np.full(8, 0.05)
    bank = ffi.gc(
        lib.rs_resonators_new(channels, 8, 250.0, pointer(freq), pointer(width)),
        lib.rs_resonators_free,
    )
    x, out = DICE.standard_normal((frames, channels)), np.empty((frames, channels, 8), complex)
    given, got = pointer(x), pointer(out)
    return Kernel(
        "resonators, 64 channels x 8 bands, 50 frames",
        lambda: lib.rs_resonators_process(bank, frames, given, ffi.NULL, got, ffi.NULL),
        bytes=x.nbytes + out.nbytes,
        flops=frames * channels * 8 * 24,
        precision="double",
    )


def hilbert() -> Kernel:
    """A frame: the window's dot product with one complex row of coefficients, 4 a sample."""
    channels, window, frames = 64, 1000, 25
    low, high = np.array([8.0]), np.array([12.0])
    made = ffi.gc(
        lib.rs_hilbert_new(channels, 1, window, 250.0, pointer(low), pointer(high)), lib.rs_hilbert_free
    )
    x, out = DICE.standard_normal((frames, channels)), np.empty((frames, channels, 1), complex)
    given, got = pointer(x), pointer(out)
    return Kernel(
        "Hilbert, 64 channels, window of 1000, 25 frames",
        lambda: lib.rs_hilbert_process(made, frames, given, ffi.NULL, got, ffi.NULL),
        bytes=x.nbytes + out.nbytes,
        flops=frames * channels * window * 4,
        precision="double",
        touched=8 * window * (channels + 2),
    )


def modes() -> Kernel:
    """A frame of a mode in an ear: a complex product (6) and a sum (1)."""
    voices, count, frames = 8, 96, 640
    freq, decay = DICE.uniform(100, 4000, count), np.full(count, 1e6)  # nothing falls silent
    bank = ffi.gc(
        lib.rs_modes_new(voices, count, 32000.0, pointer(freq), pointer(decay), ffi.NULL), lib.rs_modes_free
    )
    strike = pointer(np.full((voices, count, 2), 0.01, np.float32))
    out = pointer(np.empty((voices, frames, 2), np.float32))
    who, when = ffi.new("size_t[]", list(range(voices))), ffi.new("size_t[]", voices)
    lib.rs_modes_process(bank, frames, voices, who, when, strike, ffi.NULL, out)
    return Kernel(
        "modes, 8 voices x 96 modes, 640 frames, stereo",
        lambda: lib.rs_modes_process(bank, frames, 0, ffi.NULL, ffi.NULL, ffi.NULL, ffi.NULL, out),
        bytes=8 * voices * frames,
        flops=voices * count * frames * 2 * 7,
        precision="float",
    )


def oscillators() -> Kernel:
    """Heun's step: twice sine and cosine (32), the mean field (2) and the pull of it (5)."""
    n, steps = 4096, 10
    phase, natural = DICE.uniform(-np.pi, np.pi, n), DICE.normal(1, 0.1, n)
    model = ffi.gc(
        lib.rs_kuramoto_new(1, ffi.new("size_t[]", [n]), pointer(phase), 1), lib.rs_kuramoto_free
    )
    coupling, lag, out = np.array([0.1]), np.array([0.0]), np.empty((steps, n))
    given, got = [pointer(one) for one in (natural, coupling, lag)], pointer(out)
    return Kernel(
        "Kuramoto, 4096 oscillators, 10 steps",
        lambda: lib.rs_kuramoto_run(model, steps, 0.01, *given, ffi.NULL, ffi.NULL, 0.0, got),
        bytes=natural.nbytes + out.nbytes,
        flops=n * steps * 2 * 39,
        precision="double",
    )


def frames_decode() -> Kernel:
    """Every byte is read once, and every payload written."""
    count, length = 64, 1024
    described = new_frames(0, np.arange(count), np.zeros(count, int))
    described["length"] = length  # all have the same payload
    stream = np.empty(count * (length + 12), np.uint8)
    payload = DICE.integers(0, 256, length, np.uint8)
    lib.rs_frames_encode(
        count, ffi.from_buffer("rs_frame[]", described), pointer(payload), pointer(stream)
    )
    streams = ffi.gc(lib.rs_frames_new(1), lib.rs_frames_free)
    out, room = np.empty(len(stream), np.uint8), np.empty(len(stream) // 12 * 16, np.uint8)
    pod, size = ffi.new("uint32_t[]", [0]), ffi.new("uint32_t[]", [len(stream)])
    frames = ffi.from_buffer("rs_frame[]", room)
    given, payloads = pointer(stream), pointer(out)

    def call() -> int:
        return int(lib.rs_frames_decode(streams, 1, pod, size, len(stream), given, frames, payloads))

    assert call() == count
    return Kernel(
        "frames decode, 64 frames of 1024 bytes", call, len(stream) + count * length, 0.0, "float"
    )


def crc() -> Kernel:
    """Every byte is read once."""
    data = DICE.integers(0, 256, 1 << 16, np.uint8)
    given, n = pointer(data), len(data)
    return Kernel("CRC-32, 64 KiB", lambda: lib.rs_crc32(0, n, given), n, 0.0, "float")


KERNELS: tuple[Callable[[], Kernel], ...] = (
    pairs_push,
    order,
    mixer,
    resampler,
    resonators,
    hilbert,
    modes,
    oscillators,
    frames_decode,
    crc,
)


# --- what comes out --------------------------------------------------------------------------


def row(machine: Machine, kernel: Kernel) -> dict[str, Any]:
    """What was reached, and the share of the roof."""
    took = seconds(kernel.call)
    rate = machine.bandwidth_for(max(kernel.bytes, kernel.touched))
    by_flops, by_bytes = kernel.flops / machine.peak[kernel.precision], kernel.bytes / rate
    return {
        "name": kernel.name,
        "precision": kernel.precision,
        "us": 1e6 * took,
        "gflop_s": 1e-9 * kernel.flops / took,
        "gb_s": 1e-9 * kernel.bytes / took,
        "intensity": kernel.flops / kernel.bytes,
        "roof": "flops" if by_flops > by_bytes else "bytes",
        "percent": 100 * max(by_flops, by_bytes) / took,
    }


def markdown(machine: Machine, rows: list[dict[str, Any]]) -> str:
    """For people."""
    lines = [
        f"One core, vectors of {8 * machine.vector_bytes} bits. Multiply-adds at most: "
        f"{machine.peak['float'] / 1e9:.0f} Gflop/s float, "
        f"{machine.peak['double'] / 1e9:.0f} Gflop/s double. Triad: "
        + ", ".join(f"{rate / 1e9:.0f} GB/s in {size >> 10} KiB" for size, rate in machine.bandwidth)
        + ".",
        "",
        "| kernel | µs | Gflop/s | GB/s | flop/byte | roof | % of roof |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    lines += [
        f"| {one['name']} | {one['us']:.3g} | {one['gflop_s']:.3g} | {one['gb_s']:.3g} "
        f"| {one['intensity']:.3g} | {one['roof']} | {one['percent']:.1f} |"
        for one in rows
    ]
    return "\n".join(lines) + "\n"


def draw(machine: Machine, rows: list[dict[str, Any]], path: Path) -> None:
    """The roofs as lines, the kernels as points; those without flops have no place here."""
    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    intensity = np.logspace(-2, 3, 400)
    names = ("L1", "L2", "L3", "memory")
    for shade, name, (_size, rate) in zip((0.25, 0.4, 0.55, 0.7), names, machine.bandwidth, strict=True):
        roof = np.minimum(intensity * rate, machine.peak["float"]) / 1e9
        axes.loglog(intensity, roof, color=str(shade), lw=1)
        axes.annotate(f"{name} {rate / 1e9:.0f} GB/s", (0.012, 0.0135 * rate / 1e9), fontsize=8,
                      color=str(shade))
    for style, precision in (("-", "float"), ("--", "double")):
        peak = machine.peak[precision] / 1e9
        axes.axhline(peak, color="0.25", lw=1, ls=style)
        axes.annotate(f"{precision} {peak:.0f} Gflop/s", (900, peak * 1.05), ha="right", fontsize=8)
    for one in rows:
        if one["gflop_s"]:
            marker = "o" if one["precision"] == "float" else "s"
            label = f"{one['name']}: {one['percent']:.0f} %"
            axes.loglog(one["intensity"], one["gflop_s"], marker, ms=8, label=label)
    axes.set(xlabel="flop per byte", ylabel="Gflop/s", xlim=(0.01, 1000), ylim=(0.1, None))
    axes.set_title("Kernels under the roof of one core (circles float, squares double)", fontsize=10)
    axes.grid(which="major", alpha=0.2)
    axes.legend(fontsize=8, loc="lower right", title="share of its roof")
    figure.savefig(path, dpi=130)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    machine = measure_machine()
    rows = [row(machine, make()) for make in KERNELS]
    text = markdown(machine, rows)
    (folder / "roofline.md").write_text(text, encoding="utf-8")
    draw(machine, rows, folder / "roofline.png")
    print(text, end="")


if __name__ == "__main__":
    main()
