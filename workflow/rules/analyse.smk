# Look into trained models: loss surfaces, an attack's path, features against the null space.


def analysis_inputs(wildcards):
    planned = PLAN.runs[wildcards.run]
    projector = PLAN.analyses[wildcards.analysis].runs[wildcards.run]
    files = {
        "model": f"results/runs/{wildcards.run}/model.safetensors",
        "images": f"results/datasets/{planned.dataset_id}/images.safetensors",
    }
    if projector:
        files["init"] = f"results/runs/{planned.config.init}/model.safetensors"
        files["projector"] = f"results/projectors/{projector}/projector.safetensors"
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
