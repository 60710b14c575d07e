import pathlib

from components.bulk_inference import job, lift_file


def note(root, name, text):
    path = pathlib.Path(root, lift_file.PROGRESS, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_notes_are_summed_and_one_that_is_being_written_counts_nothing(tmp_path):
    assert job.count(str(tmp_path)) == (0, 0)
    note(tmp_path, "0", "4096")
    note(tmp_path, "1", "")
    note(tmp_path, "2", "8192")
    assert job.count(str(tmp_path)) == (3, 12288)


def test_the_bar_ends_at_what_was_lifted(tmp_path, capsys):
    with job.shown(str(tmp_path), 7):
        note(tmp_path, "0", "4000")
        note(tmp_path, "1", "2000")
    shown = capsys.readouterr().err
    assert "6.00kpose" in shown
    assert "2 of 7 files begun" in shown
