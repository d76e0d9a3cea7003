"""The page that a report is printed on: its style, and the few kinds of block it is made of.

One file without scripts and without anything fetched: it opens offline, in ten years, on a phone,
and it prints. Every text passes through `escape` here, since names come from pods and from people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_CSS = """
:root { --ink:#20253a; --muted:#6b7183; --line:#e3e0d8; --paper:#fffefb; --ground:#f6f4ee;
  --alarm:#b8402a; color-scheme: light; }
* { box-sizing: border-box; }
body { margin:0; background:var(--ground); color:var(--ink); line-height:1.5;
  font:15px/1.5 Inter, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust:100%; }
main { max-width:1080px; margin:0 auto; padding:0 20px 48px; }
.tide { height:6px; background:linear-gradient(90deg,#263a6b,#7fb9b0,#fbdca8,#a8688f,#263a6b); }
header { padding:40px 0 18px; }
h1, h2 { font-family:"Iowan Old Style", Palatino, "Palatino Linotype", "URW Palladio L", Georgia,
  serif; font-weight:500; letter-spacing:-0.01em; line-height:1.15; margin:0; }
h1 { font-size:clamp(34px,6vw,54px); }
h2 { font-size:27px; }
h3 { font-size:14px; font-weight:600; margin:0 0 2px; }
.eyebrow { text-transform:uppercase; letter-spacing:.14em; font-size:11px; font-weight:600;
  color:var(--muted); margin:0 0 8px; }
.lead { font-size:17px; color:var(--muted); margin:10px 0 0; }
.chips { display:flex; flex-wrap:wrap; gap:6px 16px; padding:0; margin:16px 0 0; list-style:none; }
.chips li { display:flex; align-items:center; gap:7px; }
.dot { width:10px; height:10px; border-radius:50%; flex:none; display:inline-block; }
.tiles { display:grid; grid-template-columns:repeat(auto-fit,minmax(136px,1fr)); gap:1px;
  background:var(--paper); border:1px solid var(--line); border-radius:12px; overflow:hidden;
  margin:14px 0 0; padding:0; }
.tiles div { box-shadow:0 0 0 1px var(--line); padding:14px 14px 12px; }
.tiles dt { font-size:12px; color:var(--muted); }
.tiles dd { margin:0; }
.tiles .big { font-size:25px; font-weight:500; letter-spacing:-.02em; white-space:nowrap; }
.tiles .small { font-size:12.5px; color:var(--muted); }
section { margin-top:46px; }
section > p { max-width:46em; margin:8px 0 0; color:#434a5e; }
.sheet { background:var(--paper); border:1px solid var(--line); border-radius:12px;
  padding:16px 18px; margin:16px 0 0; break-inside:avoid; }
.wide { overflow-x:auto; }
.wide > svg { min-width:680px; }
svg { display:block; width:100%; height:auto; }
svg text { font-family:Inter, "Segoe UI", "Helvetica Neue", Arial, sans-serif !important; }
.pair { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));
  gap:16px; margin-top:16px; }
.pair .sheet { margin:0; min-width:0; }
.note { font-size:13px; color:var(--muted); margin:8px 0 0; max-width:60em; }
.key { display:flex; gap:8px 26px; flex-wrap:wrap; align-items:center; }
.key svg { width:210px; }
.card-head { display:flex; align-items:baseline; gap:9px; flex-wrap:wrap; margin-bottom:8px; }
.card-head .who { color:var(--muted); font-size:13px; }
.card-head .rates { margin-left:auto; font-size:13px; color:var(--muted); }
table { border-collapse:collapse; width:100%; font-size:13px; }
th { text-align:left; font-weight:500; color:var(--muted); font-size:12px; white-space:nowrap; }
td, th { padding:6px 14px 6px 0; border-bottom:1px solid var(--line); vertical-align:top; }
tr:last-child td { border-bottom:0; }
td { white-space:nowrap; } td.n, th.n { text-align:right; }
td:last-child { white-space:normal; }
td:last-child, th:last-child { padding-right:0; }
.remarks { border-left:3px solid #d98b3a; padding:2px 0 2px 14px; margin:20px 0 0;
  list-style:none; }
.remarks li { margin:3px 0; }
.read { columns:2; column-gap:36px; margin-top:12px; }
.read p { margin:0 0 12px; break-inside:avoid; }
.read b { font-weight:600; }
footer { margin-top:44px; padding-top:14px; border-top:1px solid var(--line); font-size:13px;
  color:var(--muted); }
@media (max-width:640px) { body { font-size:16px; } main { padding:0 14px 36px; }
  header { padding-top:26px; } .read { columns:1; } .sheet { padding:12px; }
  .tiles { grid-template-columns:1fr 1fr; } .card-head .rates { margin-left:0; width:100%; } }
@page { margin:14mm; }
@media print { body { background:none; font-size:11pt; } main { max-width:none; padding:0; }
  .sheet, .tiles { border-color:#ccc; } .wide { overflow:visible; } .wide > svg { min-width:0; }
  .pair { grid-template-columns:1fr 1fr; gap:10px; } .sheet { padding:10px; }
  .tiles { grid-template-columns:repeat(auto-fit,minmax(84px,1fr)); }
  .tiles .big { font-size:17px; } .tiles div { padding:8px; }
  table { font-size:8.5pt; } td, th { padding:3px 8px 3px 0; }
  section { margin-top:26px; } h2, h3 { break-after:avoid; } header { padding-top:8px; }
  .tide, .dot, svg { print-color-adjust:exact; -webkit-print-color-adjust:exact; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """The whole document."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_CSS}</style>\n</head>\n"
        '<body>\n<div class="tide"></div>\n<main>\n'
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, intro: str, *blocks: str) -> str:
    """A titled part of the page; empty if it has no block."""
    content = "\n".join(block for block in blocks if block)
    if not content:
        return ""
    return f"<section>\n<h2>{escape(title)}</h2>\n<p>{escape(intro)}</p>\n{content}\n</section>"


def sheet(svg: str | None, caption: str, label: str, *, wide: bool = True, key: str = "") -> str:
    """A figure on its sheet; `wide` ones scroll sideways on a phone, their text stays legible."""
    if svg is None:
        return ""
    drawn = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    under = f'<div class="key">{key}<p class="note">{escape(caption)}</p></div>'
    kind = "wide" if wide else "whole"
    return f'<figure class="sheet"><div class="{kind}">{drawn}</div>{under}</figure>'


def side_by_side(blocks: Iterable[str]) -> str:
    """Blocks in two columns, or in one where there's no room."""
    content = "\n".join(block for block in blocks if block)
    return f'<div class="pair">{content}</div>' if content else ""


def tiles(entries: Iterable[tuple[str, str, str]]) -> str:
    """The strip of figures: (name, figure, what to hold it against)."""
    cells = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="big">{escape(big)}</dd>'
        f'<dd class="small">{escape(small)}</dd></div>'
        for name, big, small in entries
    )
    return f'<dl class="tiles">{cells}</dl>'


def chips(names: Sequence[str], colours: Sequence[str]) -> str:
    """The sleepers with their colours."""
    items = (
        f"<li>{dot(colour)}{escape(name)}</li>"
        for name, colour in zip(names, colours, strict=True)
    )
    return f'<ul class="chips">{"".join(items)}</ul>'


def dot(colour: str) -> str:
    """A sleeper's colour as a dot."""
    return f'<span class="dot" style="background:{escape(colour)}"></span>'


def remarks(texts: Sequence[str]) -> str:
    """What a reader must know before reading on."""
    if not texts:
        return ""
    return f'<ul class="remarks">{"".join(f"<li>{escape(t)}</li>" for t in texts)}</ul>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int) -> str:
    """A table on a sheet; columns from `numbers_from` on are figures, set to the right."""
    if not rows:
        return ""

    def line(tag: str, cells: Sequence[str]) -> str:
        parts = (
            f"<{tag}{' class=n' if k >= numbers_from else ''}>{escape(cell)}</{tag}>"
            for k, cell in enumerate(cells)
        )
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="sheet wide"><table>{line("th", heads)}{body}</table></div>'
