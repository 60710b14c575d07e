import json

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from components import report
from pipeline import container, kubeflow, presets
from tests.pipeline import mvlift_test, spec_runs, studio_runs

REQUIRED = ("--image=registry/mvlift:7", "--pipeline_root=gs://bucket/run")
COMPARED = {"LastBlessedModel-model-resolver", "LastBlessedModel-model-blessing-resolver"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "tiny_studio.json"
    path.write_text(json.dumps(studio_runs.SETTINGS | {"name": "Tiny_studio"}))
    return path


def compiled(settings, *options):
    words = [*REQUIRED, f"--settings={settings}", *options]
    return kubeflow.compiled(kubeflow.parser("test").parse_args(words))


@pytest.fixture(scope="module")
def job(settings):
    return compiled(settings, "--gpu=NVIDIA_TESLA_T4:2", "--cpu=8", "--memory_gb=30")


def executors(job):
    return job["pipelineSpec"]["deploymentSpec"]["executors"]


def tasks(job):
    return job["pipelineSpec"]["root"]["dag"]["tasks"]


def test_the_job_is_the_same_pipeline_with_names_that_the_platform_takes(job):
    nodes = {name.replace(".", "-") for name in mvlift_test.compiled(presets.studio())}
    assert {*tasks(job)} == nodes - {"LastBlessedModel"} | COMPARED
    assert job["pipelineSpec"]["pipelineInfo"]["name"] == "tiny-studio"
    assert job["runtimeConfig"] == {"gcsOutputDirectory": "gs://bucket/run"}


def test_the_job_fits_the_messages(job):
    json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
    spec = json_format.ParseDict(job["pipelineSpec"], pipeline_spec_pb2.PipelineSpec())
    deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(job["pipelineSpec"]["deploymentSpec"], deployment)
    labels = {component.executor_label for component in spec.components.values()}
    assert labels == {*deployment.executors}


def test_every_container_runs_our_image_and_entry(job):
    found = [entry["container"] for entry in executors(job).values() if "container" in entry]
    assert len(found) == len(tasks(job)) - len(COMPARED)
    assert {one["image"] for one in found} == {"registry/mvlift:7"}
    assert {tuple(one["command"]) for one in found} == {("python", "-m", "pipeline.container")}


def test_beam_is_told_how_to_run(settings, tmp_path):
    path = tmp_path / "settings.json"
    words = ["--runner=DataflowRunner", "--project=mine"]
    path.write_text(json.dumps(json.loads(settings.read_text()) | {"beam_pipeline_args": words}))
    for task in ("RecordingExampleGen", "StatisticsGen-Pairs", "Evaluator"):
        arguments = executors(compiled(path))[f"{task}_executor"]["container"]["args"]
        assert arguments[-2:] == words


def test_the_machine_asked_for_is_for_training_alone(job):
    asked = {
        label: entry["container"]["resources"]
        for label, entry in executors(job).items()
        if "resources" in entry.get("container", {})
    }
    machine = {
        "cpuLimit": 8.0,
        "memoryLimit": 30.0,
        "accelerator": {"type": "NVIDIA_TESLA_T4", "count": "2"},
    }
    assert asked == {f"Trainer-{stage}_executor": machine for stage in ("Pretrain", "Finetune")}


def test_any_machine_will_do_if_none_is_asked_for(settings):
    assert "resources" not in str(executors(compiled(settings)))


def test_compiling_leaves_artifact_types_as_they_were(job):
    assert report.ReportFiles.TYPE_NAME == "MVLiftReport"
    (made,) = job["pipelineSpec"]["components"]["Report"]["outputDefinitions"]["artifacts"].values()
    assert "title: components.ReportFiles\n" in made["artifactType"]["instanceSchema"]


def test_kubeflow_gets_no_resolvers_and_no_trace_of_them(settings, tmp_path, capsys):
    output = tmp_path / "specs" / "pipeline.yaml"
    assert kubeflow.main([*REQUIRED, f"--settings={settings}", f"--output={output}"]) == 0
    spec = yaml.safe_load(output.read_text())
    assert capsys.readouterr().out.startswith(f"{output}: 17 tasks.")
    assert kubeflow.RESOLVER not in output.read_text()
    judged = spec["root"]["dag"]["tasks"]["Evaluator"]["inputs"]["artifacts"]
    expected = spec["components"]["Evaluator"]["inputDefinitions"]["artifacts"]
    assert {*judged} == {*expected} == {"baselines", "examples", "held_out", "model"}
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())


def test_what_is_read_must_be_said():
    with pytest.raises(ValueError, match="`data_root` must be given: containers have no embedded"):
        kubeflow.compiled(kubeflow.parser("test").parse_args(REQUIRED))


@pytest.mark.e2e
def test_the_compiled_tasks_run_in_containers_as_written(job, tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MOUNT", f"{tmp_path}/")
    platform = spec_runs.Platform(job, tmp_path)
    platform.run("RecordingExampleGen")
    platform.run("Baselines")
    written = platform.path("RecordingExampleGen", "test_examples")
    assert len([*written.glob("Split-test/*.gz")]) == 2
    assert (platform.path("Baselines", "figures") / "baselines.json").is_file()
    splits = platform.reported["RecordingExampleGen", "test_examples"]["metadata"]["split_names"]
    assert json.loads(splits) == ["test"]


def test_spans_are_refused_as_the_platform_cannot_resolve_them(settings):
    with pytest.raises(ValueError, match=r"`data_root` must hold no {SPAN}: .* /gcs/films/{SPAN}"):
        compiled(settings, "--data_root=/gcs/films/{SPAN}")
