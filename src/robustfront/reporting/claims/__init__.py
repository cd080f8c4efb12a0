"""The checkable sentences of a paper (a study's claims.yaml), and whether they hold: in print, and here.

`language`: what a claim may say; `conditions`: the comparisons it comes down to; `evidence`: what decides
them; `judging`: verdicts as one tidy frame; `rendering`: that frame as a table.
"""
