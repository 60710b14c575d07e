#!/bin/sh
# Makes .tools/airflow, an environment of its own with Airflow beside the pipeline, from
# scripts/airflow.txt, and runs the pipeline as a DAG, on SQLite and in one process.
# Writes nothing outside the checkout. "$@" goes to `airflow` in place of the run.
set -eu
cd "$(dirname "$0")/.."

root=$PWD
env=.tools/airflow
stamp=$env/.made

stop() {
  echo "airflow: $1" >&2
  exit 1
}

[ -x .tools/uv/bin/uv ] || stop "no .tools/uv: run \`make setup\` first."
export TMPDIR="$root/.tools/tmp" UV_CACHE_DIR="${UV_CACHE_DIR:-$root/.tools/uv-cache}"
export UV_COMPILE_BYTECODE=1
mkdir -p "$TMPDIR"
if ! cmp -s scripts/airflow.txt $stamp; then
  echo "Making $env from scripts/airflow.txt; the first time it takes some minutes."
  rm -rf $env
  .tools/uv/bin/uv venv --quiet --python "$(readlink -f .tools/uv/bin/python)" $env
  .tools/uv/bin/uv pip install --quiet --no-deps --python $env/bin/python \
    --requirement scripts/airflow.txt --editable . --editable pipeline
  cp scripts/airflow.txt $stamp
fi

export AIRFLOW_HOME="$root/output/.airflow"
export AIRFLOW__CORE__DAGS_FOLDER="$root/scripts/dags"
export AIRFLOW__CORE__LOAD_EXAMPLES=False
# Importing TFX takes longer than the half minute that a DAG file has.
export AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT=300
export AIRFLOW__SCHEDULER__PARSING_PRE_IMPORT_MODULES=False
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
export MVLIFT_SETTINGS="${MVLIFT_SETTINGS-$root/pipeline/demo_airflow.json}"
export MVLIFT_OUTPUT_ROOT="${MVLIFT_OUTPUT_ROOT:-$root/output}"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-1}"
PATH="$root/$env/bin:$PATH"
mkdir -p "$AIRFLOW_HOME"
airflow db migrate > "$AIRFLOW_HOME/migrate.log" 2>&1 || stop "no database; $AIRFLOW_HOME/migrate.log says more."
[ $# -eq 0 ] || exec airflow "$@"
name=$(airflow dags list --output plain 2> /dev/null | awk '/scripts\/dags|mvlift.py/ {print $1; exit}')
[ -n "$name" ] || { airflow dags list-import-errors >&2; stop "the DAG could not be made."; }
exec airflow dags test "$name"
