"""The checkable sentences of the papers (`s000.yaml`), and whether they hold: in print, and in our artefacts.

`language`: what a claim may say; `conditions`: the comparisons it comes down to; `evidence`: what decides
them; `judging`: verdicts as one tidy frame; `rendering`: that frame as a table.
"""
