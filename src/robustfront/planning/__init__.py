"""The plan: what params.yaml asks for, run by run, and what it will cost. Imports no torch."""

from robustfront.planning.plan import Plan, PlannedAnalysis, PlannedRun, Projector, load_plan, load_plans

__all__ = ["Plan", "PlannedAnalysis", "PlannedRun", "Projector", "load_plan", "load_plans"]
