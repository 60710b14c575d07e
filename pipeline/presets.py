"""Settings that are known to work, by name."""

import json

from keras_mvlift import configs
from pipeline import settings


def demo() -> settings.PipelineConfig:
    """Gives the settings for the embedded recording: four cameras, a hundred frames, one person.

    The network is small and virtual cameras are many because the recording is short.
    """
    options = {
        "name": "balancing",
        "subject": "pose2sim_demo",
        "action": "balancing",
        "reference": "opensim/Balancing_for_IK.trc",
    }
    return recording().updated({"data": {"source_options": options}})


def recording() -> settings.PipelineConfig:
    """Gives the settings for one short recording in Pose2Sim's layout, without a reference."""
    return settings.PipelineConfig(
        data=configs.DataConfig(source="pose2sim", split="blocks", num_virtual_views=8),
        model=configs.ModelConfig(backbone="res_linear", width=256),
        finetune=configs.FinetuneConfig(num_epochs=45, decay_every=15, batch_size=128),
        bounds={"mpjpe_mm": 80.0, "p_mpjpe_mm": 65.0},
    )


def studio() -> settings.PipelineConfig:
    """Gives the settings for a small synthetic studio: people on whom it trains, and others."""
    people = {"num_subjects": 6, "num_clips": 5, "num_frames": 100}
    split = {"test_subjects": ["S05", "S06"]}
    return settings.PipelineConfig(
        name="mvlift_studio",
        data=configs.DataConfig(
            source="studio",
            source_options=json.dumps(people, sort_keys=True),
            split="subject",
            split_options=json.dumps(split, sort_keys=True),
        ),
        model=configs.ModelConfig(backbone="res_linear", width=256),
        finetune=configs.FinetuneConfig(num_epochs=30, decay_every=10, batch_size=256),
    )


PRESETS = {"demo": demo, "recording": recording, "studio": studio}
