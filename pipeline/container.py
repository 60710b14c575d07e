"""What a container of a Kubeflow or Vertex task runs: TFX's own entry, with buckets as folders.

Vertex mounts all buckets below `/gcs`, and components of ours read and write files: so they are
handed `/gcs/bucket/...` for `gs://bucket/...`, and what they report goes back as `gs://`.
Options of Beam stay as they are: workers elsewhere have no such folder.
"""

import pathlib
import sys

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

import components
from components import candidates, checks, report, scores

COMMAND = ("python", "-m", "pipeline.container")
BUCKETS, MOUNT = "gs://", "/gcs/"

ARTIFACTS = {
    f"{components.__name__}.{kind.__name__}": kind
    for kind in (
        candidates.CandidateModels,
        checks.RigFindings,
        report.ReportFiles,
        scores.BaselineFigures,
        scores.HeldOutFigures,
    )
}
"""Our artifact types by title. TFX imports a type by its title, which may hold one dot only."""

_INVOCATION = "json_serialized_invocation_args"


def main(arguments: list[str]) -> int:
    """Runs one executor, as TFX's entry does; gives the exit status."""
    for kind in ARTIFACTS.values():
        setattr(components, kind.__name__, kind)
    options, beam_arguments = kubeflow_v2_run_executor._parse_flags([sys.argv[0], *arguments])
    mounted = getattr(options, _INVOCATION).replace(BUCKETS, MOUNT)
    setattr(options, _INVOCATION, mounted)
    invocation = pipeline_spec_pb2.ExecutorInput()
    json_format.Parse(mounted, invocation, ignore_unknown_fields=True)
    for outputs in invocation.outputs.artifacts.values():
        for artifact in outputs.artifacts:
            pathlib.Path(artifact.uri).mkdir(parents=True, exist_ok=True)
    kubeflow_v2_run_executor.main((options, beam_arguments))
    report = pathlib.Path(invocation.outputs.output_file)
    report.write_text(report.read_text().replace(MOUNT, BUCKETS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
