import json

import pytest
from google.auth import credentials

from pipeline import vertex
from tests.pipeline import studio_runs

REQUIRED = ("--image=registry/mvlift:7", "--pipeline_root=gs://bucket/run")


@pytest.fixture(scope="module")
def aiplatform():
    """Imports Vertex's client, which takes seconds, in the one process that runs this file."""
    from google.cloud import aiplatform

    return aiplatform


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "tiny.json"
    path.write_text(json.dumps(studio_runs.SETTINGS))
    return path


@pytest.fixture(scope="module")
def job_file(settings, tmp_path_factory):
    output = tmp_path_factory.mktemp("specs") / "pipeline.json"
    assert vertex.main([*REQUIRED, f"--settings={settings}", f"--output={output}"]) == 0
    return output


def test_the_job_keeps_the_comparison_with_the_last_blessed_model(job_file):
    tasks = json.loads(job_file.read_text())["pipelineSpec"]["root"]["dag"]["tasks"]
    baseline = tasks["Evaluator"]["inputs"]["artifacts"]["baseline_model"]["taskOutputArtifact"]
    assert len(tasks) == 19
    assert baseline["producerTask"] == "LastBlessedModel-model-resolver"


def test_vertex_client_takes_the_job(job_file, aiplatform):
    aiplatform.init(project="mine", credentials=credentials.AnonymousCredentials())
    job = aiplatform.PipelineJob("tiny", str(job_file))
    assert job._gca_resource.runtime_config.gcs_output_directory == "gs://bucket/run"
    assert job._gca_resource.pipeline_spec["pipelineInfo"]["name"] == "tiny"


def test_with_a_project_the_job_is_submitted_as_asked(settings, tmp_path, aiplatform, monkeypatch):
    submitted = []
    monkeypatch.setattr(
        aiplatform.PipelineJob,
        "submit",
        lambda job, **options: submitted.append((job.project, job.location, options)),
    )
    monkeypatch.setattr(
        aiplatform.initializer.global_config, "_credentials", credentials.AnonymousCredentials()
    )
    where = ("--project=mine", "--region=europe-west4", "--service_account=robot@mine")
    output = f"--output={tmp_path / 'job.json'}"
    assert vertex.main([*REQUIRED, f"--settings={settings}", output, *where]) == 0
    assert submitted == [("mine", "europe-west4", {"service_account": "robot@mine"})]
