# Download, verify, split: the images of each data set.


rule data:
    input:
        DATASETS,


rule dataset:
    output:
        images="results/datasets/{dataset}/images.safetensors",
        manifest="results/datasets/{dataset}/manifest.json",
    log:
        "logs/data/{dataset}.log",
    threads: 1
    shell:
        "{ROBUSTFRONT} data {wildcards.dataset} > {log} 2>&1"
