"""The page's style sheet: light and dark, readable without it."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d8dee6; --paper: #fff; --back: #f4f6f9;
  --accent: #0b62a8; --on: #176b3a; --off: #8a5a00; --bad: #a3262a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #a2adbb; --line: #37404c; --paper: #1b2129;
  --back: #12171d; --accent: #6db5f2; --on: #6fd394; --off: #e5b95c; --bad: #ff8f8f; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1rem 4rem }
h1 { font-size: 1.9rem; margin: 0 0 .3rem } h2 { font-size: 1.2rem; margin: 0 0 .6rem }
p { margin: .4rem 0 } p, h2 { overflow-wrap: anywhere } .soft { color: var(--soft) }
section, fieldset { background: var(--paper); border: 1px solid var(--line); border-radius: .6rem;
  padding: 1.1rem 1.3rem; margin: 1.1rem 0; min-width: 0 }
fieldset fieldset, .level { border: 0; border-top: 1px solid var(--line); border-radius: 0; margin: .8rem 0 0;
  padding: .8rem 0 0 }
legend { font-weight: 650; font-size: 1.2rem; padding: 0; float: left; width: 100%; margin-bottom: .3rem }
legend + * { clear: both }
.state { display: inline-block; font-weight: 650; padding: .15rem .7rem; border-radius: 1rem; border: 1.5px solid }
.state.on { color: var(--on) } .state.off, .state.undecided { color: var(--off) } .state.blocked { color: var(--bad) }
label { font-weight: 600 } label.plain { font-weight: 400 }
input[type=checkbox] { width: 1.15rem; height: 1.15rem; vertical-align: -.2rem; margin: 0 .5rem 0 0;
  accent-color: var(--accent) }
button { font: inherit; font-weight: 650; padding: .5rem 1.1rem; border-radius: .45rem;
  border: 1.5px solid var(--accent); background: var(--accent); color: var(--paper); cursor: pointer;
  margin: .9rem .6rem 0 0 }
button.second { background: transparent; color: var(--accent) } button.bad { background: transparent; color: var(--bad);
  border-color: var(--bad) }
a { color: var(--accent) } :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.table { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .92rem; margin: .6rem 0 0 }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--soft); font-weight: 600 } td.number { text-align: right; font-variant-numeric: tabular-nums }
code, pre { font: .85rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere }
pre { background: var(--back); border: 1px solid var(--line); border-radius: .4rem; padding: .8rem; max-height: 24rem;
  overflow: auto; white-space: pre-wrap }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .3rem 1.2rem; margin: 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.notice { border-left: 4px solid var(--on); } .problem { border-left: 4px solid var(--bad) }
details summary { cursor: pointer; color: var(--accent); margin-top: .3rem }
@media (max-width: 34rem) { .table table { min-width: 34rem }
  dl { grid-template-columns: 1fr } dd { margin-bottom: .5rem } }
"""
