"""The terminal during a session: each pod a row, the group's order parameter beside its chance level."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .moment import Moment, PodMoment
from .session import Session

_BAR = 24
_NEWS_SHOWN = 5
_PLAIN_EVERY_S = 5.0
_BREATH = "▁▂▃▄▅▆▇█"


class LiveView:
    """Draws moments as they come; on anything that is no terminal, a line every five seconds."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._news: list[str] = []
        self._plain_due_s = 0.0
        self._blind = False

    def __enter__(self) -> LiveView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._draw_if_one_can(self._live.stop)

    def say(self, text: str) -> None:
        """A line for the person who waits."""
        self._draw_if_one_can(lambda: self._console.print(text, style="dim", markup=False))

    def show(self, session: Session, moment: Moment) -> None:
        """Draw a moment."""
        self._draw_if_one_can(lambda: self._show(session, moment))

    def _draw_if_one_can(self, draw: Callable[[], None]) -> None:
        """A terminal that went away, or a full log, must not end what people lie in."""
        if self._blind:
            return
        try:
            draw()
        except (OSError, ValueError, SystemExit):  # rich ends the program when a pipe breaks
            self._blind = True

    def _show(self, session: Session, moment: Moment) -> None:
        for news in moment.news:
            self._news.append(f"{moment.t:6.1f} s  {news.pod}  {news.kind}: {news.text}")
        if not self._console.is_terminal:
            self._show_plain(session, moment)
            return
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=8)
            self._live.start()
        self._live.update(self._draw(session, moment))

    def _show_plain(self, session: Session, moment: Moment) -> None:
        for line in self._news:
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)
        self._news.clear()
        if moment.t >= self._plain_due_s:
            self._plain_due_s = moment.t + _PLAIN_EVERY_S
            worst = max((pod.clock_sigma_us for pod in moment.pods), default=math.nan)
            self._console.print(
                f"{moment.t:6.1f} of {session.seconds:.0f} s  {len(moment.pods)} pods"
                f"  order {moment.order.value:.2f} (chance {moment.order.chance:.2f})"
                f"  late {sum(pod.late for pod in moment.pods)}"
                f"  underruns {sum(pod.underruns for pod in moment.pods)}"
                f"  clocks within {worst:.0f} µs",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )

    def _draw(self, session: Session, moment: Moment) -> RenderableType:
        table = Table(box=None, padding=(0, 1), header_style="dim")
        table.add_column("pod")
        table.add_column("clock σ", justify="right")
        table.add_column("breath", justify="left")
        table.add_column("/min", justify="right")
        table.add_column("pulse", justify="right")
        table.add_column("coupling", justify="left")
        table.add_column("level dBFS(A)", justify="right")
        table.add_column("late", justify="right")
        table.add_column("underrun", justify="right")
        for pod in moment.pods:
            table.add_row(*_row(pod))
        order, chance = moment.order.value, moment.order.chance
        line = Text.assemble(
            ("order   ", "bold"),
            _bar(order, chance),
            f"  {order:.2f}  ",
            (f"chance {chance:.2f}", "dim"),
        )
        head = Text(
            f"{session.scene.title}   {moment.t:5.0f} of {session.seconds:.0f} s", style="bold"
        )
        news = Text("\n".join(self._news[-_NEWS_SHOWN:]), style="yellow")
        return Group(head, Text(), table, Text(), line, Text(), news)


def _row(pod: PodMoment) -> list[RenderableType]:
    if pod.state != "ready":
        return [Text(pod.name, style="red"), Text(pod.state, style="red"), *([""] * 7)]
    fault = "red" if pod.late or pod.underruns else ""
    return [
        pod.name,
        f"{pod.clock_sigma_us:.0f} µs",
        Text(_wave(pod.breath_phase), style=_trust(pod.breath_confidence)),
        Text(_number(pod.breath_hz * 60), style=_trust(pod.breath_confidence)),
        Text(_number(pod.pulse_hz * 60), style=_trust(pod.pulse_confidence)),
        _bar(pod.coupling, None, 10),
        Text(f"{pod.level_dbfs:.0f} of {pod.ceiling_dbfs:.0f}"),
        Text(str(pod.late), style=fault),
        Text(str(pod.underruns), style=fault),
    ]


def _trust(confidence: float) -> str:
    return "" if confidence > 0.5 else "dim"


def _number(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "–"


def _wave(phase: float) -> str:
    """The last breath as it rose and fell: eight marks that run with the phase."""
    if not math.isfinite(phase):
        return " " * len(_BREATH)
    heights = (0.5 + 0.5 * math.cos(phase - math.pi * (7 - i) / 4) for i in range(len(_BREATH)))
    return "".join(_BREATH[round(height * 7)] for height in heights)


def _bar(value: float, mark: float | None, width: int = _BAR) -> Text:
    """A bar of 0..1; what lies below `mark`, the chance level, is dim."""
    filled = round(max(0.0, min(1.0, value)) * width)
    at = round((mark or 0.0) * width)
    bar = Text()
    for i in range(width):
        if i < filled:
            bar.append("━", "dim" if i < at else "cyan")
        else:
            bar.append("┊" if i == at and mark is not None else "·", "dim")
    return bar
