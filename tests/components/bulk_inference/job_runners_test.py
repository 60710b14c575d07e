"""However many workers there are, in one process or in several, the files are the same."""

import pytest

from components.bulk_inference import job
from tests.components.bulk_inference import stored_views

pytestmark = pytest.mark.e2e

PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


def test_two_processes_write_the_same_bytes_as_one(tmp_path):
    model = stored_views.save_model(tmp_path / "model")
    for number in range(3):
        path = tmp_path / f"views-{number}.gz"
        drawn = stored_views.columns(40 + number, seed=number)
        drawn["confidence"][number, 0] = 2.0
        stored_views.write(path, drawn)
    written = []
    for name, arguments in (("one", ()), ("two", PROCESSES)):
        lift = job.BulkLift(
            model=str(model),
            inputs=(str(tmp_path / "*.gz"),),
            output=str(tmp_path / name),
            batch_size=16,
        )
        assert job.run(lift, arguments)["poses"] == 120
        written.append(stored_views.files(tmp_path / name))
    assert written[0] == written[1]
    assert len(written[0]) == 7
