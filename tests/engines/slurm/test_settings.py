"""The section of the configuration: what has no sense is refused by its key."""

import pytest

from jobd.engines.base import BadSetting
from jobd.engines.slurm import SlurmEngine, settings


def test_what_is_said_goes_to_sbatch():
    found = settings.read(
        {"partition": "long", "account": "a", "qos": "q", "submit_options": ["--mem=4G"]}
    )
    assert found.options == ["--partition=long", "--account=a", "--qos=q", "--mem=4G"]
    assert settings.read({}).options == []


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"poll": "soon"}, "poll: 'soon' is no duration"),
        ({"poll": "0"}, "poll: Slurm is not to be asked without a pause"),
        ({"max_jobs": 0}, "max_jobs: must be at least 1"),
        ({"shared_dir": "here"}, "shared_dir: an absolute path is needed"),
        ({"programs": "bin"}, "programs: an absolute path is needed"),
        ({"submit_options": ["--mem", "4G"]}, "submit_options: '4G' is no option in one word"),
        ({"submit_options": ["-p long"]}, "submit_options: '-p long' is no option in one word"),
        ({"submit_options": ["--requeue"]}, "submit_options: '--requeue' is up to jobd"),
        ({"submit_options": ["--arr=1-3"]}, "submit_options: '--arr=1-3' is up to jobd"),
        ({"submit_options": "--mem=4G"}, "submit_options: must be a list"),
        ({"pack": 0}, "pack: must be at least 1"),
        ({"gpu_option": "--gpus"}, "gpu_option: the number of GPUs stands in it once, as %d"),
        ({"gpu_option": "--gpus=%d%s"}, "gpu_option: the number of GPUs stands in it once"),
        ({"gpu_option": "gpus=%d"}, "gpu_option: 'gpus=%d' is no option in one word"),
        ({"partitions": "a"}, "has no key partitions; did you mean: partition"),
    ],
)
def test_a_key_without_sense_is_named(section, words):
    with pytest.raises(BadSetting, match=f"^{words}"):
        SlurmEngine.check(section)
