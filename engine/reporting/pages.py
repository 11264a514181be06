"""Blocks as a page: HTML that needs nothing but itself, or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from engine.reporting.blocks import Block, Code, Heading, Plot, Table, Words
from engine.reporting.plots import svg

# No script, no font, no picture from anywhere: the page says so to the browser as well.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.2rem;border-bottom:1px solid #8886}h3{font-size:1.05rem}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
caption{text-align:left;font-weight:600;padding:.2rem 0}
th,td{padding:.2rem .7rem;border-bottom:1px solid #8884;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
pre{background:#8882;padding:.8rem;overflow-x:auto;border-radius:4px}
.warning{border-left:4px solid #d55e00;padding-left:.8rem}
.plots{display:flex;flex-wrap:wrap;gap:1rem}.plots svg{flex:1 1 26rem;max-width:36rem;background:#fff;border-radius:4px}
svg text{font:12px system-ui,sans-serif;fill:#222}svg .title{font-weight:600}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}svg .grid{stroke:#ddd}
"""


def html(title: str, blocks: Sequence[Block]) -> str:
    """The page as one HTML file."""
    parts: list[str] = []
    plots: list[str] = []
    for block in blocks:
        if isinstance(block, Plot):
            plots.append(svg(block))
            continue
        if any(plots):
            parts.append(f'<div class="plots">{"".join(plots)}</div>')
        plots = []
        parts.append(_element(block))
    if any(plots):
        parts.append(f'<div class="plots">{"".join(plots)}</div>')
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def markdown(blocks: Sequence[Block]) -> str:
    """The page as Markdown, without its plots."""
    parts: list[str] = []
    for block in blocks:
        match block:
            case Heading(text, level):
                parts.append(f"{'#' * level} {_plain(text)}")
            case Words(text, warning):
                parts.append(f"> **Warning:** {_plain(text)}" if warning else _plain(text))
            case Table(head, rows, caption):
                lines = [f"**{_plain(caption)}**", ""] if caption else []
                lines.append("| " + " | ".join(_cell(c) for c in head) + " |")
                lines.append("|" + "---|" + "---:|" * (len(head) - 1))
                lines += ["| " + " | ".join(_cell(c) for c in row) + " |" for row in rows]
                parts.append("\n".join(lines))
            case Code(text):
                fence = "```"
                while fence in text:
                    fence += "`"
                parts.append(f"{fence}\n{text.rstrip()}\n{fence}")
            case Plot():
                pass
    return "\n\n".join(parts) + "\n"


def _element(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Words(text, warning):
            if warning:
                return f'<p class="warning"><strong>Warning:</strong> {escape(text)}</p>'
            return f"<p>{escape(text)}</p>"
        case Table(head, rows, caption):
            said = f"<caption>{escape(caption)}</caption>" if caption else ""
            top = "".join(f"<th>{escape(c)}</th>" for c in head)
            body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
            return f"<table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Plot():
            return svg(block)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    return text.replace("\\", "\\\\").replace("<", "&lt;").replace("*", "\\*").replace("`", "\\`").replace("_", "\\_")
