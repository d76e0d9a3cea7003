"""Each row of the table is a race: the kernel and its peers, with the same data, in the same run.

A test is one runner of one race (`race`). When all have run, pytest-benchmark's JSON gets the rows, and the
Markdown table stands beside it as `bench.md`.

What is compared is the shortest time of each runner: everything else that happens on a machine only
ever adds time. Threads are those that a library may start by itself (BLAS, numba); our kernel starts none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

OURS = "ours"
_FACTORS = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}

Race = Callable[..., None]


@pytest.fixture
def race(benchmark: Any) -> Race:
    """`race(name, who, call, n=..., unit="ms", threads=1)` times `call()` as `who` in the race `name`.

    n: the size of the problem, for example pods. unit: of the printed times. Compare results
    before, in the same test, so that nobody is timed for something else.
    """

    def run(
        name: str,
        who: str,
        call: Callable[[], object],
        *,
        n: int,
        unit: str = "ms",
        threads: int = 1,
    ) -> None:
        assert unit in _FACTORS
        benchmark.group = f"{name}, n = {n}, {_threads(threads)}"
        benchmark.extra_info.update(name=name, who=who, n=n, unit=unit, threads=threads)
        with threadpool_limits(threads):
            benchmark(call)

    return run


def rows(benchmarks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each peer in each race: name, n, threads, unit, ours, peer, peer_name, ratio."""
    races: dict[tuple[str, int, int], dict[str, dict[str, Any]]] = {}
    for one in benchmarks:
        info = one["extra_info"]
        if "who" in info:
            races.setdefault((info["name"], info["n"], info["threads"]), {})[info["who"]] = one
    table = []
    for (name, n, threads), runners in races.items():
        if OURS not in runners:
            continue
        unit = runners[OURS]["extra_info"]["unit"]
        ours_s = runners[OURS]["stats"]["min"]
        for who, runner in runners.items():
            peer_s = runner["stats"]["min"]
            if who == OURS and len(runners) > 1:
                continue
            alone = who == OURS
            table.append(
                {
                    "name": name,
                    "n": n,
                    "threads": threads,
                    "unit": unit,
                    "ours": ours_s * _FACTORS[unit],
                    "peer": None if alone else peer_s * _FACTORS[unit],
                    "peer_name": None if alone else who,
                    "ratio": None if alone else peer_s / ours_s,
                }
            )
    return table


def markdown(table: list[dict[str, Any]]) -> str:
    """The rows for people."""
    lines = [
        "| what | n | threads | ours | peer | | peer / ours |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    for row in table:
        peer = "" if row["peer"] is None else f"{row['peer']:.4g} {row['unit']}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        lines.append(
            f"| {row['name']} | {row['n']} | {row['threads']} | {row['ours']:.4g} {row['unit']}"
            f" | {peer} | {row['peer_name'] or ''} | {ratio} |"
        )
    return "\n".join(lines) + "\n"


def pytest_benchmark_update_json(
    config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]
) -> None:
    output_json["rows"] = rows(output_json["benchmarks"])
    (config.rootpath / "bench.md").write_text(markdown(output_json["rows"]), encoding="utf-8")


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
