"""Lifts stored views by the million, on any runner of Beam, into Parquet or TFRecords.

Usage:
    python -m pipeline.bulk_lift --model=output/mvlift --input='views/*.parquet' --output=poses
    python -m pipeline.bulk_lift ... --format=tfrecord \
        --beam_pipeline_args='--direct_running_mode=multi_processing --direct_num_workers=8'
"""

import argparse
import shlex
import sys

from components.bulk_inference import job, lift_file
from keras_mvlift.cli import arguments as parsing
from pipeline import settings

# What a shell gives for a program that Ctrl-C ended.
_INTERRUPTED = 130


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the options."""
    parser = parsing.Parser(prog="pipeline.bulk_lift", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="as of `keras_mvlift.load_model`")
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        help="files or patterns: Parquet (.parquet) or TFRecords (.gz: compressed)",
    )
    parser.add_argument("--output", required=True, help="a folder that does not exist yet")
    parser.add_argument("--format", choices=[*lift_file.FORMATS], default="parquet")
    parser.add_argument(
        "--max_lost_share",
        type=float,
        default=job.BulkLift.max_lost_share,
        help="of records and of files, before the run fails (default: %(default)s)",
    )
    parser.add_argument(
        "--beam_pipeline_args",
        default="",
        metavar="'--runner=...'",
        help="options of Beam in one argument; default: this process",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Lifts; gives the exit status."""
    options = parse(arguments)
    try:
        bulk = job.BulkLift(
            model=options.model,
            inputs=tuple(options.input),
            output=options.output,
            form=options.format,
            max_lost_share=options.max_lost_share,
        )
        beam_pipeline_args = shlex.split(options.beam_pipeline_args)
        settings.check_workers("beam_pipeline_args", beam_pipeline_args)
        summary = job.run(bulk, beam_pipeline_args)
    except (OSError, ValueError) as error:
        print(f"pipeline.bulk_lift: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pipeline.bulk_lift: interrupted; nothing was written.", file=sys.stderr)
        return _INTERRUPTED
    lost = summary["lost_records"], summary["lost_files"]
    print(
        f"{options.output}: {summary['poses']:,} poses; lost {lost[0]:,} records, {lost[1]} files."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
