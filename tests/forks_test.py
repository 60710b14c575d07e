import sys

from tests import forks, tiny_studio


def tell(path):
    known = [name for name in ("tensorflow", tiny_studio.__name__) if name in sys.modules]
    path.write_text(f"{known} {forks.has_computed()}")


def test_a_process_begins_where_all_is_imported_and_nothing_has_been_computed(tmp_path):
    process = forks.start(tell, tmp_path / "told")
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "told").read_text() == "['tensorflow', 'tests.tiny_studio'] False"
