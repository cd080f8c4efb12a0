"""The plan: what params.yaml and its studies ask for, run by run, and what it will cost. Imports no torch."""

from robustfront.planning.plan import Plan, Plans, Projector, load_plan
from robustfront.planning.study import PlannedAnalysis, PlannedRun, StudyPlan

__all__ = ["Plan", "PlannedAnalysis", "PlannedRun", "Plans", "Projector", "StudyPlan", "load_plan"]
