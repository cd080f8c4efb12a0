# Attack each trained run with each suite.


rule runs:
    input:
        RESULT_FILES,


rule evaluate:
    input:
        model=ancient("results/runs/{run}/model.safetensors"),
        images=lambda wildcards: ancient(
            f"results/datasets/{PLAN.runs[wildcards.run].dataset_id}/images.safetensors"
        ),
    output:
        rows="results/runs/{run}/eval/{suite}.parquet",
        summary="results/runs/{run}/eval/{suite}.json",
    log:
        "logs/evaluate/{run}/{suite}.log",
    threads: 1
    resources:
        gpu=GPU,
    shell:
        "{ROBUSTFRONT} evaluate {wildcards.run} {wildcards.suite} > {log} 2>&1"
