"""The page of a sweep: words, groups, effects and the top of the table as plain HTML; data and scripts packed behind them.

Nothing on the page asks for anything: its security policy allows no source but the pictures and the two scripts that it holds, by their
hashes. Data are JSON, compressed and in base64, so that no text of a sweep can end a script; everything else is escaped.
"""

from __future__ import annotations

import gzip
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files

from anatomy.sweep.reports import payload
from anatomy.sweep.reports.material import Material
from anatomy.sweep.reports.sections import body

SCRIPTS = ("start.js", "state.js", "columns.js", "table.js", "detail.js", "plots.js", "curves.js", "parallel.js", "main.js")
STYLES = ("page.css", "parts.css")


def page(material: Material) -> str:
    """The whole page as text; the same material gives the same bytes."""
    script = "(() => {\n\"use strict\";\n" + "\n".join(asset(name) for name in SCRIPTS) + "\n})();\n"
    style = "\n".join(asset(name) for name in STYLES)
    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in (script, material.plots) if text)
    policy = f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes}"
    names = {e.name: k for k, e in enumerate(material.results.entries)}
    blocks = {
        "core": payload.as_json(payload.core(material)),
        "details": payload.as_json(payload.details(material)),
        "curves": payload.as_json(payload.curves(material)),
        "pictures": payload.as_json({names[name]: svg for name, svg in material.pictures.items()}),
        "plots": material.plots,
    }
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Sweep of {escape(material.results.config.space)}</title>",
            f"<style>{style}</style>",
            "</head><body>",
            *body(material),
            *(f'<script type="text/plain" id="data-{key}">{pack(text)}</script>' for key, text in blocks.items() if text),
            f"<script>{script}</script>",
            "</body></html>\n",
        ]
    )


def asset(name: str) -> str:
    return files("anatomy.sweep.reports").joinpath("assets", name).read_text("utf-8").strip()


def _hash(script: str) -> str:
    return b64encode(sha256(script.encode()).digest()).decode()


def pack(text: str) -> str:
    """Compressed and in base64; the same text gives the same letters."""
    return b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def unpack(letters: str) -> str:
    """
    >>> unpack(pack("</script>"))
    '</script>'
    """
    from base64 import b64decode

    return gzip.decompress(b64decode(letters)).decode()
