import sys
from multiprocessing import forkserver

from tests import forks, tiny_studio


def tell(path):
    known = [name for name in ("tensorflow", tiny_studio.__name__) if name in sys.modules]
    path.write_text(f"{known} {forks.has_computed()}")


def test_a_process_begins_where_all_is_imported_and_nothing_has_been_computed(tmp_path):
    process = forks.start(tell, tmp_path / "told")
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "told").read_text() == "['tensorflow', 'tests.tiny_studio'] False"


def test_no_test_file_computes_while_it_is_imported():
    # Otherwise processes are forked from one that had to import TensorFlow again.
    assert forkserver._forkserver._preload_modules == []
