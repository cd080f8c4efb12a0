#!/bin/sh
# On a GPU machine without a registry, in the folder of the repository: sh benchmarks/gpu/start.sh FOLDER check ...
# FOLDER is what `python -m benchmarks.gpu.bundle FOLDER` made.
folder=$1
shift
export PYTHONPATH="$PWD/src:$PWD:$folder/site" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
if [ -d "$folder/images" ]; then
    set -- "$@" --images "$folder/images"
fi
exec python3 -m benchmarks.gpu "$@"
