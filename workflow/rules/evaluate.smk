# Attack each trained run: one job makes all attacks that are missing, each in files of its own, and the index that says
# that they are there. The index's name tells which; that a file of one was lost is found when the Snakefile is read.


rule runs:
    input:
        RESULT_FILES,
        [AGAIN[path] for path in EVALUATED.values() if path in AGAIN],


def evaluation_inputs(wildcards):
    dataset = PLAN.runs[wildcards.run].dataset_id
    files = for_what_is_to_do(
        wildcards.run,
        [EVALUATED[wildcards.run]],
        images=f"results/datasets/{dataset}/images.safetensors",
    )
    return {name: ancient(path) for name, path in files.items()}


rule evaluate:
    input:
        unpack(evaluation_inputs),
        model=ancient("results/runs/{run}/model.safetensors"),
        lost=lambda wildcards: AGAIN.get(EVALUATED[wildcards.run], []),
    output:
        index="results/runs/{run}/eval/{index}.json",
    log:
        "logs/evaluate/{run}/{index}.log",
    threads: 1
    resources:
        gpu=GPU,
    shell:
        "{ROBUSTFRONT} evaluate {wildcards.run} > {log} 2>&1"
