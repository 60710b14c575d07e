"""Compiles the pipeline for Vertex AI Pipelines, and submits it if asked to.

Usage:
    python -m pipeline.vertex --image=registry/mvlift:1 --pipeline_root=gs://bucket/runs \
        --data_root=/gcs/bucket/recordings --settings=settings.json
    python -m pipeline.vertex ... --project=mine --region=europe-west4
"""

import argparse
import json
import pathlib
import sys

from pipeline import kubeflow


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the options; with a project the job is submitted."""
    parser = kubeflow.parser("pipeline.vertex")
    parser.add_argument("--project", help="where to run; default: only compile")
    parser.add_argument("--region", default="us-central1")
    parser.add_argument("--service_account", help="what the tasks run as; default: the project's")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Writes the job, JSON, as Vertex takes it; gives the exit status."""
    options = parse(arguments)
    job = kubeflow.compiled(options)
    name = job["pipelineSpec"]["pipelineInfo"]["name"]
    path = options.output or pathlib.Path("output", f"{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(job, indent=2, sort_keys=True))
    print(f"{path}: {len(job['pipelineSpec']['root']['dag']['tasks'])} tasks.")
    if options.project:
        from google.cloud import aiplatform

        aiplatform.init(project=options.project, location=options.region)
        submitted = aiplatform.PipelineJob(display_name=name, template_path=str(path))
        submitted.submit(service_account=options.service_account)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
