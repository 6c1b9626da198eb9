"""The page that a report is written into: its style, its policy, and what fits figures to a light or dark page."""

from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:;
 style-src 'unsafe-inline'; img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'">
<title><!--title--></title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark;
  --text: #1f2328; --quiet: #5b636d; --line: #d0d7de; --back: #ffffff; --note: #fff4e0; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --quiet: #9aa4af; --line: #3a414a; --back: #16181c; --note: #3a2e14; }
}
body { color: var(--text); background: var(--back); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  padding: 1.5rem; max-width: 1100px; }
h1 { margin: 0 0 .5rem; } h2 { margin: 2.2rem 0 .6rem; font-size: 1.25rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top;
  max-width: 32rem; overflow-wrap: break-word; }
thead th { position: sticky; top: 0; background: var(--back); }
.pairs th { font-weight: 500; color: var(--quiet); white-space: nowrap; }
.wide { overflow: auto; max-height: 32rem; }
figure { margin: 0 0 .5rem; } pre { overflow: auto; }
.nothing, footer { color: var(--quiet); } .note { background: var(--note); padding: .6rem .9rem; border-radius: .4rem; }
summary { cursor: pointer; margin: .5rem 0; }
@media print { .wide { max-height: none; } }
</style>
<script>/*plotly*/</script>
</head>
<body>
<h1><!--title--></h1>
<!--summary-->
<!--body-->
<footer><p><!--made--></p></footer>
<script>
const dark = matchMedia("(prefers-color-scheme: dark)");
function paint() {
  for (const plot of document.querySelectorAll(".js-plotly-plot"))
    Plotly.relayout(plot, {"font.color": dark.matches ? "#e6e6e6" : "#1f2328"});
}
dark.addEventListener("change", paint);
paint();
</script>
</body>
</html>
"""
"""`<!--NAME-->` and `/*plotly*/` stand for what is put there."""
