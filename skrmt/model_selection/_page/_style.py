"""Style sheet of the report page.

Every rule is scoped: `&` stands for the class of the page, written twice so that the rules prevail
over those of a notebook. Contrast of text is at least 4.5 in both themes; that of digits on the
darkest cell of the heat table decides its opacity.
"""

NAME = "skrmt-report"

LIGHT = """color-scheme: light; --paper: #ffffff; --ink: #1b2227; --soft: #56616a;
--rule: #dfe3e6; --grid: #eceff1; --blue: #0072b2; --heat: 0 114 178; --other: #6b7780;
--ok: #00704f; --caution: #8a5600; --refused: #b03c00;"""
DARK = """color-scheme: dark; --paper: #14191d; --ink: #e8edf0; --soft: #a3afb8;
--rule: #323b42; --grid: #232a2f; --blue: #56b4e9; --heat: 86 180 233; --other: #94a1ab;
--ok: #4ccba3; --caution: #e9b44c; --refused: #ff9566;"""

_RULES = """
& { box-sizing: border-box; max-width: 68rem; margin: 0 auto; padding: clamp(1rem, 4vw, 2.5rem);
  background: var(--paper); color: var(--ink); border-radius: 10px; text-align: left;
  font: 400 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
& * { box-sizing: border-box; }
& .title, & .head, & p, & ul, & dl, & dd, & figure { margin: 0; padding: 0; }
& .title { font-size: 14px; font-weight: 600; line-height: 1.4; color: var(--soft); }
& .head { font-size: 19px; font-weight: 650; line-height: 1.3; letter-spacing: -.01em;
  padding-top: .9rem; border-top: 2px solid var(--ink); color: var(--ink); }
& .note { color: var(--soft); font-size: 14px; margin-top: .35rem; max-width: 62ch; }
& code { font: .92em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  background: none; padding: 0; border: 0; color: inherit; }
& .hero { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
  gap: 1rem 3rem; align-items: center; margin: .5rem 0 1.25rem; }
& .number { font-size: clamp(4rem, 13vw, 7rem); font-weight: 700; line-height: 1;
  letter-spacing: -.045em; color: var(--blue); white-space: nowrap; }
& .number.words { font-size: clamp(2.5rem, 9vw, 4rem); color: var(--ink); }
& .words::first-letter { text-transform: uppercase; }
& .lead { font-size: 18px; max-width: 54rem; }
& .lead + .lead { font-size: 16px; margin-top: .5rem; color: var(--soft); }
& .sections { columns: 22rem; column-gap: 3rem; margin-top: 2.75rem; }
& .section { break-inside: avoid; padding-bottom: 2.5rem; }
& .section:has(.many), & .section:has(.many) + .section:last-child { column-span: all; }
& .mark { font-weight: 650; white-space: nowrap; background: none; padding: 0; }
& .ok { color: var(--ok); } & .caution { color: var(--caution); }
& .refused { color: var(--refused); }
& .sign { display: inline-block; width: 1.35em; height: 1.35em; line-height: 1.3em;
  margin-right: .4em; border: 1.5px solid currentColor; border-radius: 50%; text-align: center;
  font-size: .85em; font-weight: 700; }
& .checks { list-style: none; margin-top: .5rem; }
& .checks li { display: grid; grid-template-columns: 7rem minmax(0, 1fr); gap: .1rem 1rem;
  margin: 0; padding: .65rem 0; border-bottom: 1px solid var(--rule); }
& .checks b { font-weight: 600; }
& .scroll { overflow-x: auto; margin-top: .75rem; padding-bottom: 2px; }
& table { border: 0; border-collapse: collapse; width: 100%; margin: .5rem 0 0; color: inherit;
  font-size: 15px; table-layout: auto; }
& table tr, & tbody tr:nth-child(odd), & tbody tr:hover { background: none; }
& table th, & table td { border: 0; border-bottom: 1px solid var(--rule); padding: .55rem 0;
  text-align: left; vertical-align: top; font-weight: 400; max-width: none; white-space: normal; }
& table td { width: 55%; padding-left: 1rem; }
& table th b { font-weight: 500; }
& table th code, & .ends { display: block; color: var(--soft); font-size: 13px; }
& table + .note { margin-top: .8rem; }
& .section:has(.long) { column-span: all; }
& .data { width: auto; font-size: 14px; }
& .data th, & .data td { padding: .4rem 1.2rem .4rem 0; width: auto; max-width: 22rem; }
& .data th { color: var(--soft); vertical-align: bottom; overflow-wrap: normal; }
& .data td { overflow-wrap: break-word; }
& .data td:first-child { padding-left: 0; }
& .data .figure { text-align: right; }
& .long th { white-space: nowrap; } & .long td { overflow-wrap: normal; }
& .plain { margin: .6rem 0 0; padding-left: 1.1rem; font-size: 15px; }
& .value { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 .75rem; }
& .value b { font-weight: 650; }
& .heat { border-collapse: separate; border-spacing: 2px; width: auto; font-size: 14px; margin: 0; }
& .heat tr > * { border: 0; padding: .3rem .2rem; line-height: 1.3; vertical-align: middle; }
& .heat thead th { vertical-align: bottom; text-align: center; font-size: 13px;
  white-space: nowrap; }
& .heat.tall thead th span { writing-mode: vertical-rl; transform: rotate(180deg); }
& .heat tbody th { position: sticky; left: 0; background: var(--paper); white-space: nowrap;
  text-align: right; padding-right: .6rem; font-size: 13px; }
& .heat td { width: auto; min-width: 2.7em; height: 2.4em; text-align: center;
  white-space: nowrap; border-radius: 3px; background: rgb(var(--heat) / var(--share)); }
& .few td { min-width: 4.6em; height: 3.6em; font-size: 17px; }
& .heat td.corner, & .few td.corner { background: none; height: 0; }
& .heat td.right { font-weight: 700; }
& .heat td.empty { width: auto; background: none; color: var(--soft); text-align: left; }
& svg { display: block; width: 100%; max-width: none; height: auto; overflow: visible; }
& svg.headline { height: 130px; } & svg.bar { height: 16px; margin-top: .2rem; }
& svg.plot { height: 290px; width: calc(100% - 64px); margin: 2.1rem 12px 2.9rem 52px; }
& svg.square { height: auto; aspect-ratio: 1; max-width: 380px; }
& svg.plot svg { width: 100%; height: 100%; }
& svg text { font-size: 13px; fill: var(--soft); stroke: none; }
& svg text.strong { fill: var(--ink); font-weight: 650; font-size: 14px;
  paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
& svg .axis { stroke: var(--soft); } & svg .grid { stroke: var(--grid); }
& svg .tick-mark { stroke: var(--blue); stroke-width: 4; }
& svg .gain { stroke: var(--blue); stroke-width: 3; stroke-opacity: .5; }
& svg .track { stroke: var(--rule); stroke-width: 2; }
& svg .guess { stroke: var(--soft); stroke-width: 2; stroke-dasharray: 4 3; }
& svg .diagonal { stroke: var(--soft); stroke-dasharray: 4 3; }
& svg .band { fill: var(--blue); fill-opacity: .28; stroke: none; }
& svg .other { fill: var(--other); } & svg rect.other { fill-opacity: .45; }
& svg .whisker { stroke: var(--ink); stroke-width: 2; }
& svg .curve { fill: none; stroke: var(--blue); stroke-width: 2.5; }
& svg .second { stroke: var(--ok); stroke-dasharray: 7 4; }
& svg .dot { fill: var(--blue); stroke: var(--paper); stroke-width: 2; }
& svg .row { fill: var(--blue); fill-opacity: .5; }
& .foot { display: grid; gap: .8rem 2.5rem; padding-top: .9rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); font-size: 14px;
  border-top: 1px solid var(--rule); }
& .foot dt { margin: 0; color: var(--soft); font-weight: 400; } & .foot dd { margin: 0; }
& .foot .long { grid-column: 1 / -1; }
& details { margin-top: 1.25rem; font-size: 14px; }
& summary { cursor: pointer; color: var(--soft); }
& details p { margin-top: .4rem; white-space: pre-line; }
@media print { & { padding: 0; } }
"""


def style_sheet(*, whole: bool) -> str:
    """Return the rules; those of the whole document also colour what surrounds the page.

    The theme is that of the reader's system, or that which a notebook or Sphinx page is set to.
    """
    page = f".{NAME}.{NAME}"
    dark = f"[data-jp-theme-light=false] {page}, [data-theme=dark] {page}, .vscode-dark {page}"
    light = f"[data-jp-theme-light=true] {page}, [data-theme=light] {page}, .vscode-light {page}"
    themes = (
        f"{page} {{ {LIGHT} }}\n"
        f"@media (prefers-color-scheme: dark) {{ {page} {{ {DARK} }} }}\n"
        f"{light} {{ {LIGHT} }}\n{dark} {{ {DARK} }}\n"
    )
    around = (
        "body { margin: 0; background: #f3f5f6; }\n"
        "@media (prefers-color-scheme: dark) { body { background: #0d1114; } }\n"
        "@media (min-width: 70rem) { body { padding: 2rem; } }\n"
    )
    return themes + (around if whole else "") + _RULES.replace("&", page)
