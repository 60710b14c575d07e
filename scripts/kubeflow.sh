#!/bin/sh
# Compiles the pipeline for Kubeflow and for Vertex, and holds what came out against KFP's own
# schema, with KFP's SDK in an environment of its own, .tools/kubeflow, made from
# scripts/kubeflow.txt. Lints the Dockerfile, too. "$@" goes to the compilers.
set -eu
cd "$(dirname "$0")/.."

env=.tools/kubeflow
stamp=$env/.made
folder=output/kubeflow

[ -x .tools/uv/bin/uv ] || {
  echo "kubeflow: no .tools/uv: run \`make setup\` first." >&2
  exit 1
}
export TMPDIR="$PWD/.tools/tmp" UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.tools/uv-cache}"
mkdir -p "$TMPDIR" $folder
if ! cmp -s scripts/kubeflow.txt $stamp; then
  rm -rf $env
  .tools/uv/bin/uv venv --quiet --python "$(readlink -f .tools/uv/bin/python)" $env
  .tools/uv/bin/uv pip install --quiet --no-deps --python $env/bin/python \
    --requirement scripts/kubeflow.txt
  cp scripts/kubeflow.txt $stamp
fi

[ $# -gt 0 ] || set -- --image=registry.example/mvlift:latest --pipeline_root=gs://bucket/runs \
  --settings=pipeline/demo_airflow.json
export TF_CPP_MIN_LOG_LEVEL=2 PYTHONWARNINGS=ignore
log=$folder/compile.log
for platform in kubeflow:yaml vertex:json; do
  .venv/bin/python -m "pipeline.${platform%:*}" "$@" --output="$folder/pipeline.${platform#*:}" \
    2> $log || {
    tail -n 1 $log >&2
    exit 1
  }
done
$env/bin/python scripts/check_kubeflow.py $folder/pipeline.yaml $folder/pipeline.json
$env/bin/hadolint Dockerfile
