# Look into trained models: loss surfaces, an attack's path, features against the null space.


def analysis_inputs(wildcards):
    planned = PLAN.runs[wildcards.run]
    projector = PLAN.analyses[wildcards.analysis].runs[wildcards.run]
    stem = f"results/runs/{wildcards.run}/analysis/{wildcards.analysis}"
    used = {"images": f"results/datasets/{planned.dataset_id}/images.safetensors"}
    if projector:
        used["projector"] = f"results/projectors/{projector}/projector.safetensors"
    outputs = [f"{stem}.safetensors", f"{stem}.json"]
    files = for_what_is_to_do(wildcards.run, outputs, **used)
    files["model"] = f"results/runs/{wildcards.run}/model.safetensors"
    if projector:
        files["init"] = f"results/runs/{planned.config.init}/model.safetensors"
    return {name: ancient(path) for name, path in files.items()}


rule analyse:
    input:
        unpack(analysis_inputs),
    output:
        arrays="results/runs/{run}/analysis/{analysis}.safetensors",
        facts="results/runs/{run}/analysis/{analysis}.json",
    log:
        "logs/analyse/{run}/{analysis}.log",
    threads: 1
    resources:
        gpu=GPU,
    shell:
        "{ROBUSTFRONT} analyse {wildcards.run} {wildcards.analysis} > {log} 2>&1"
