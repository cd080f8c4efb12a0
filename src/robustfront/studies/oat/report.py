"""The page of the study: the worst-case attacker's numbers first, then frontier, cost and claims."""

from collections.abc import Sequence

from robustfront.reporting.sections import ClaimsSection, FigureSection, Section, ViewSection
from robustfront.studies.oat.area import area_table
from robustfront.studies.oat.costs import cost_table
from robustfront.studies.oat.frontier import frontier_figure, frontier_table
from robustfront.studies.oat.slider import SliderSection
from robustfront.studies.oat.switching import ends_table, transfers_figure

SECTIONS: Sequence[Section] = (
    ViewSection(
        "conditional",
        "Verdict: is one model really many",
        ends_table,
        text="A model that is told λ is worth its name if its ends differ. Robust accuracy is that under the "
        "worst case over attackers: all that know λ, and whatever is made at any other λ.",
    ),
    ViewSection("frontier", "Frontier: accuracy and robustness at each λ", frontier_table),
    FigureSection(
        "frontier-figure",
        "Figure: the SA-RA frontier",
        frontier_figure,
        text="Up and right is better; numbers beside the points are λ, of TRADES β. Left under all attackers "
        "together, right under the attack of training by an attacker who knows λ. Bars are 95 % intervals.",
        alt="Scatter plots of clean against robust accuracy: curves of the models that are told λ, of a "
        "model for each λ, and of TRADES. The numbers are those of the table above.",
    ),
    SliderSection(
        "slider",
        "Slider: one model, turned by λ",
        text="Accuracies with 95 % intervals, and the same test images at every λ: what the model takes them "
        "for, as they are and attacked by one who knows λ.",
    ),
    FigureSection(
        "transfers",
        "Figure: attacked at one λ, judged at another",
        transfers_figure,
        text="Robust accuracy in percent under PGD-20. On the diagonal the attacker knows λ. ×: images made "
        "at another λ fell the model by over 5 points more than those made at its own, more than luck "
        "explains: its gradients are masked there, and the number on the diagonal is no robust accuracy.",
        alt="A matrix for each model that is told λ: rows are the λ at which images were made, columns the λ "
        "at which they are judged, with the accuracy in each cell.",
    ),
    ViewSection("cost", "Cost: one training against many", cost_table),
    ViewSection("area", "Area: frontiers compared", area_table),
    ClaimsSection(
        "claims",
        "Claims: what held up",
        text="Each checkable sentence. S002 prints no numbers. docs/reproduction/oat.md says how they are "
        "judged.",
    ),
)
