"""Records of analyses with made-up numbers, as `robustfront.analysis` writes them."""

from typing import Any

import numpy as np

from robustfront.analysis.records import Record

IMAGES, POINTS, STEPS = 3, 5, 4


def record(kind: str, run_id: str, *, size: float = 1.0) -> Record:
    """`size` scales surfaces and shares, so that models can be told apart."""
    arrays, facts = {"landscape": _landscape, "null-space": _null_space, "path": _path}[kind](size)
    return Record(arrays, facts, {"run": run_id, "analysis": f"{kind}-000000"})


def _landscape(size: float) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    offsets = np.linspace(-0.1, 0.1, POINTS, dtype=np.float32)
    bowl = size * (offsets[:, None] ** 2 + offsets**2) * np.arange(1, IMAGES + 1)[:, None, None]
    facts = {"at_image": 0.0, "rise": 0.04 * size, "slope": 25.5 * size, "curvature": 8 * size}
    surfaces = {f"{plane}.surface": bowl.astype(np.float32) for plane in ("gradient", "random")}
    return {"offsets": offsets} | surfaces, {"gradient": facts, "random": facts}


def _null_space(size: float) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    generator = np.random.default_rng(0)
    clean = generator.normal(size=(80, 3)).astype(np.float32)
    arrays = {
        "clean.coordinates": clean,
        "plain.coordinates": clean + np.float32([size, 0, 0]),
        "projected.coordinates": clean + np.float32([0, 0, size]),
    }
    facts: dict[str, Any] = {
        attack: {"null_share": share * size, "shift": 2.0, "fooled": 0.5}
        for attack, share in (("plain", 0.3), ("projected", 0.4))
    }
    remark = {"logit_drift": 4.0, "logit_drift_head": 3.0, "logit_drift_rest": 3.0 * size}
    facts |= {"images": 80, "null_share_of_random_direction": 0.84, "remark31": remark}
    return arrays, facts


def _path(size: float) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    offsets = np.linspace(-0.1, 0.5, POINTS, dtype=np.float32)
    steps = np.linspace(0, 0.4, STEPS + 2, dtype=np.float32)
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    arrays = {"image": image, "rows": offsets, "columns": offsets}
    arrays["surface"] = np.add.outer(size * offsets, offsets).astype(np.float32)
    facts: dict[str, Any] = {"image": 3, "label": 2, "prediction": 2}
    for attack, axis, share in (("plain", 0, 0.1), ("projected", 1, None)):
        points = np.zeros((STEPS + 2, 2), dtype=np.float32)
        points[:, axis] = steps
        arrays |= {f"{attack}.points": points, f"{attack}.loss": size * steps, f"{attack}.image": image}
        facts[attack] = {"prediction": 7, "off_plane": 0.25, "null_share": share}
    return arrays, facts
