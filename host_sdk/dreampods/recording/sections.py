"""Puts a report together: what is said, shown and listed, in which order, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

import numpy as np

from dreampods.recording import figures_glance, figures_pods, figures_together
from dreampods.recording.drawing import shows_cycles, sleeper_colours
from dreampods.recording.figures_sleepers import (
    beats_per_minute,
    breaths_per_minute,
    sleeper_card,
)
from dreampods.recording.measured import (
    as_text,
    entries_of,
    event_rows,
    headline,
    pod_table,
    stream_table,
    told_of,
)
from dreampods.recording.page import (
    chips,
    dot,
    page,
    remarks,
    section,
    sheet,
    side_by_side,
    table,
    tiles,
)
from dreampods.recording.reading import Recorded, is_number
from dreampods.recording.together import (
    MIN_SHIFT_S,
    Agreement,
    Pair,
    agreement_of,
    order_of,
    pairs_of,
)

_READING = (
    (
        "Order R",
        "is the length of the mean of all sleepers' breath phases: 1 if all breathe in step, near "
        "0 if they are spread evenly. Independent sleepers don't give 0 but, for n of them, about "
        "√(π/4n). Only what stands above that, for longer than a passing coincidence, is news.",
    ),
    (
        "In step is not in contact.",
        "Sleepers who hear the same sound, or breathe at the same rate by chance, drift through "
        "the same phase for a while. The figures here can't tell a common cause from an influence "
        "of one on another.",
    ),
    (
        "A few will always stand out.",
        "A 95 % band is crossed 5 % of the time by pairs that share nothing. With 28 pairs, one "
        "or two are above it at any moment. Count them before naming one.",
    ),
    (
        "Gaps are data.",
        "Hatched stretches hold no samples: a link was down, a sensor was off, or a pod was gone. "
        "Nothing was filled in, and no line is drawn across them.",
    ),
    (
        "Levels are digital.",
        "They are in decibels below full scale, as sent to the pod. What reached an ear depends "
        "on the pod's amplifier and transducer, and was not measured here.",
    ),
    (
        "What this page does not say.",
        "Nothing about what anyone dreamt, remembers or felt, and nothing about anyone's health. "
        "It is no diagnosis, and no sleep staging was done.",
    ),
)


def compose(session: Recorded) -> str:
    """The report as an HTML document."""
    colours = sleeper_colours(len(session.pods))
    by_pod = dict(zip(session.pods, colours, strict=True))
    order, agreement, pairs = order_of(session), agreement_of(session), pairs_of(session)
    scene = as_text(session.summary.get("scene")) or _scene_told(session) or "a session"
    phase = shows_cycles(session.seconds)
    glance = figures_glance.breath_at_a_glance(session, colours, order) if session.pods else None
    cards = (_card(session, pod, by_pod[pod]) for pod in session.pods)
    body = [
        _header(session, scene, colours),
        tiles(headline(session, order, pairs)),
        section(
            "Breath",
            _breath_intro(phase, order is not None),
            sheet(
                glance,
                "Paler where the phase was less certain; hatched where nothing was measured. "
                "Numbered lines are events, listed below.",
                "Breath of every sleeper over time",
                key=figures_glance.phase_wheel() if phase else "",
            ),
            table(("", "at", "event", ""), event_rows(session), 9),
        ),
        _together(session, agreement, pairs, by_pod),
        section(
            "The sleepers",
            "What each pod's sensors recorded; ↕ is the height of a panel. "
            + (
                "Small triangles mark where the session took the lungs to be full."
                if phase
                else "Rates are shown where they were known with some confidence."
            ),
            side_by_side(cards),
        ),
        section(
            "Who was heard, and how loud",
            "Gains are what the mix was asked for; levels are what it sent, after its limiter.",
            sheet(
                figures_pods.gains_figure(session, colours),
                "In dB. Bold: the sleeper's own layer in their own mix. Black: the collective in "
                "it. Dotted: the sleeper's part in the collective.",
                "Gains of own layer, collective and send for every sleeper over time",
            ),
            sheet(
                figures_pods.levels_figure(session, colours),
                "Level sent to each pod, A-weighted, in dB of full scale, and the ceiling set for it (red).",
                "Level against ceiling for every sleeper over time",
            ),
        ),
        section(
            "The pods",
            "How well each pod's time was known, what arrived of its signals, and what it played.",
            sheet(
                figures_pods.clocks_figure(session, colours),
                "The smaller the uncertainty, the more exactly a sound can be placed and a signal "
                "dated. A fixed difference between the ways there and back stays invisible to it.",
                "Clock uncertainty and drift of every pod over time",
            ),
            table(*pod_table(session)),
            table(*stream_table(session)),
        ),
        _how_to_read(),
        "<footer>Made from the files of this folder, and from nothing else.</footer>",
    ]
    return page(f"{scene} · dreampods", [block for block in body if block])


def _breath_intro(phase: bool, order: bool) -> str:
    bands = (
        "Each band is one sleeper's breath, from full lungs to full lungs."
        if phase
        else "Each band is one sleeper's breath rate: pale is 6 a minute and slower, dark is 24 "
        "and faster."
    )
    step = " Where the colours line up, they breathe in step." if phase and order else ""
    below = " Below, the order of the group against what chance gives." if order else ""
    return bands + step + below


def _header(session: Recorded, scene: str, colours: Sequence[str]) -> str:
    count = len(session.pods)
    when = _when(session.summary.get("started"))
    facts = [f"{count} sleeper{'' if count == 1 else 's'}", _duration(session.seconds), when]
    warnings = session.summary.get("warnings")
    told = [as_text(w) for w in warnings] if isinstance(warnings, list) else []
    credits = "; ".join(as_text(credit) for credit in entries_of(session.summary, "recordings"))
    whose = (
        f'<p class="note">Recordings replayed here. {escape(credits)}. Which stretch of them each'
        " sleeper is stands on their card below.</p>"
        if credits
        else ""
    )
    return (
        f'<header><p class="eyebrow">dreampods session</p><h1>{escape(scene)}</h1>'
        f'<p class="lead">{escape(" · ".join(fact for fact in facts if fact))}</p>'
        f"{chips(session.pods, colours)}{whose}{remarks([*session.remarks, *told])}</header>"
    )


def _together(
    session: Recorded,
    agreement: Agreement | None,
    pairs: Sequence[Pair],
    by_pod: Mapping[str, str],
) -> str:
    blocks = []
    if agreement:
        colours = [by_pod[pod] for pod in agreement.pods]
        outside = int(np.sum(np.abs(agreement.mean) > agreement.reach))
        blocks.append(
            sheet(
                figures_together.agreement_figure(session, agreement, colours),
                "Agreement: cosine between a sleeper's breath and the mean of the others, times "
                "how much these agree among themselves; chance is 0. Grey: where about 95 % of "
                f"independent sleepers lie, from shifting the same breaths by {MIN_SHIFT_S:.0f} s "
                f"and more against each other. {outside} of {len(agreement.pods)} sleepers lie "
                f"outside ({0.05 * len(agreement.pods):.1f} expected by chance).",
                "Agreement of each sleeper with the others over time and on average",
            )
        )
    shares = [pair.share_above for pair in pairs if np.isfinite(pair.share_above)]
    if shares:
        shown = min(len(pairs), figures_together.MOST_PAIRS)
        blocks.append(
            side_by_side(
                (
                    sheet(
                        figures_together.pair_matrix(session, pairs, list(by_pod.values())),
                        "Above the diagonal: mean phase locking of breath, over its mean 95 % "
                        "chance band. Below: the part of the time spent above that band; 5 % is "
                        "chance. Warmer is more.",
                        "Phase locking of every pair with its chance level",
                        wide=False,
                    ),
                    sheet(
                        figures_together.pairs_over_time(session, pairs),
                        "When each pair was above its own chance band; the warmer, the further. "
                        f"{shown} of {len(pairs)} pairs, those most often above first.",
                        "Phase locking of pairs above chance over time",
                        wide=False,
                    ),
                )
            )
        )
    return section(
        "With the others, and in pairs",
        "Two closer views of the same breaths, each against its own chance.",
        *blocks,
    )


def _card(session: Recorded, pod: str, colour: str) -> str:
    svg = sleeper_card(session, pod, colour)
    if svg is None:
        return ""
    told = told_of(session, pod)
    state = session.track(pod, "state")
    rates = []
    if state is not None:
        for name, rate in (
            ("breath", breaths_per_minute(state)),
            ("pulse", beats_per_minute(state)),
        ):
            if rate is not None:
                rates.append(f"{name} {rate:.0f}/min")
    who = [as_text(told.get("participant"))]
    material_s = told.get("material_s")
    if is_number(material_s) and material_s < session.seconds:
        who.append(f"replayed, began again every {material_s:.0f} s")
    head = (
        f'<div class="card-head">{dot(colour)}<h3>{escape(pod)}</h3>'
        f'<span class="who">{escape(" · ".join(part for part in who if part))}</span>'
        f'<span class="rates">{escape(" · ".join(rates))}</span></div>'
    )
    return f'<div class="sheet">{head}{svg}</div>'


def _how_to_read() -> str:
    text = "".join(f"<p><b>{escape(head)}</b> {escape(body)}</p>" for head, body in _READING)
    return f'<section><h2>How to read this</h2><div class="read">{text}</div></section>'


def _scene_told(session: Recorded) -> str:
    """The scene's name as an event gave it, for a session without a summary."""
    return next((as_text(e["scene"]) for e in session.events if "scene" in e), "")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def _when(started: object) -> str:
    """The start as people write it; a text that is no date is shown as it is."""
    try:
        at = datetime.fromisoformat(str(started))
    except ValueError:
        return as_text(started)
    return f"{at.day} {at:%B %Y, %H:%M} {at:%Z}".strip()
