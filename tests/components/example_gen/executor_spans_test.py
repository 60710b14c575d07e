from components.example_gen import executor
from tests.components import studio_examples
from tests.components.example_gen import executor_test

studio = executor_test.studio


def test_a_span_is_told_by_artifacts_records_and_dataset(studio, tmp_path):
    config, data_root, without = studio
    numbered = studio_examples.generate(tmp_path, config, data_root, span=7, version=2)
    for artifact in numbered.values():
        assert (artifact.span, artifact.version) == (7, 2)
        # Where TFX's own resolvers look.
        assert artifact.get_int_custom_property("span") == 7
    for split in executor_test.TABLES:
        rows, former = (
            executor_test.all_rows(numbered, split),
            executor_test.all_rows(without, split),
        )
        assert {row["clip"][0] for row in rows} == {b"00007/" + row["clip"][0] for row in former}
        for row, other in zip(rows, former, strict=True):
            assert row | {"clip": other["clip"]} == other
    dataset = executor.read_dataset(numbered["examples"].uri)
    assert executor.spans_of(dataset) == [7]
    assert dataset["split"] == "subject"
    assert {clip["clip"] for clip in dataset["clips"]} == {
        f"00007/{x}" for x in studio_examples.CLIPS
    }
    assert not without["examples"].has_custom_property("span")
    assert executor.spans_of(executor.read_dataset(without["examples"].uri)) == []
