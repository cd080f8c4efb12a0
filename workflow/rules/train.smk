# Train each run; derive the null-space projector from a trained head.
# Inputs inside results/ are `ancient`: their identity is the path, so timestamps that a clone scrambles do not matter.


def training_inputs(wildcards):
    planned = PLAN.runs[wildcards.run]
    used = {"images": f"results/datasets/{planned.dataset_id}/images.safetensors"}
    if planned.config.projector:
        used["projector"] = (
            f"results/projectors/{planned.config.projector}/projector.safetensors"
        )
    files = for_what_is_to_do(wildcards.run, TRAINED[wildcards.run], **used)
    if planned.config.init:
        files["init"] = f"results/runs/{planned.config.init}/model.safetensors"
    return {name: ancient(path) for name, path in files.items()}


rule train:
    input:
        unpack(training_inputs),
    output:
        model="results/runs/{run}/model.safetensors",
        history="results/runs/{run}/history.csv",
        manifest="results/runs/{run}/manifest.json",
    log:
        "logs/train/{run}.log",
    threads: lambda wildcards: PLAN.devices(wildcards.run, DEVICES)
    resources:
        gpu=lambda wildcards: GPU * PLAN.devices(wildcards.run, DEVICES),
    params:
        devices=lambda wildcards: PLAN.devices(wildcards.run, DEVICES),
    shell:
        "{ROBUSTFRONT} train {wildcards.run} --devices {params.devices} > {log} 2>&1"


rule projector:
    input:
        lambda wildcards: ancient(
            f"results/runs/{PLAN.projectors[wildcards.projector].run_id}/model.safetensors"
        ),
    output:
        tensors="results/projectors/{projector}/projector.safetensors",
        facts="results/projectors/{projector}/projector.json",
    log:
        "logs/projector/{projector}.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} projector {wildcards.projector} > {log} 2>&1"
