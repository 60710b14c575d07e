"""Training without labels comes close to training with them; what joins pose and root decides."""

import pytest

from benchmarks import recipes

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def mpjpe_mm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Trains each run of the quick trial once."""
    data = recipes.make_data(recipes.QUICK.studio, tmp_path_factory.mktemp("pairs"))
    figures = {name: recipes.run(name, recipes.QUICK, data, seed=0) for name in recipes.RUNS}
    return {name: values["mpjpe_mm"] for name, values in figures.items()}


@pytest.mark.parametrize("name", ["solved_root", recipes.ALL_VIEWS])
def test_solved_root_comes_near_training_with_labels(name, mpjpe_mm):
    assert mpjpe_mm[name] <= 1.15 * mpjpe_mm[recipes.SUPERVISED]


@pytest.mark.parametrize("other", ["ray_root", "paper"])
def test_solved_root_is_well_below_the_other_recipes(mpjpe_mm, other):
    assert mpjpe_mm["solved_root"] <= 0.7 * mpjpe_mm[other]


def test_the_paper_recipe_is_visibly_worse_without_pretraining(mpjpe_mm):
    assert mpjpe_mm[recipes.NOT_PRETRAINED] >= 1.05 * mpjpe_mm["paper"]
