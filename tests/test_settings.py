"""Parameters: typed, within bounds, unknown ones refused with a suggestion."""

import pytest

from wanwu_nb.settings import Settings, check_settings, read_parameters


def test_text_false_means_false():
    assert check_settings(resume="false").resume is False
    assert check_settings(compile="false").compile is False and check_settings().compile == "auto"


def test_numbers_come_as_text_too():
    assert check_settings(batch_size="4", conf_threshold="0.5") == check_settings(batch_size=4, conf_threshold=0.5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"conf_treshold": 0.5}, "unknown parameter conf_treshold: did you mean conf_threshold?"),
        ({"zzz": 1}, "unknown parameter zzz: known are image_dir"),
        ({"conf_threshold": 1.5}, "conf_threshold=1.5 is not valid: input should be less than or equal to 1"),
        ({"conf_threshold": float("nan")}, "conf_threshold=nan"),
        ({"nms_iou": -0.1}, "nms_iou=-0.1"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"compile": "sometimes"}, "compile='sometimes'"),
        ({"batch_size": "many"}, "batch_size='many'"),
        ({"resume": "perhaps"}, "resume='perhaps'"),
        ({"precision": "fp8"}, "precision='fp8'"),
        ({"image_dir": ""}, "image_dir=''"),
        ({"image_dir": 2024}, "use -r image_dir 2024"),
        ({"limit": -1, "top_k": 0}, "limit=-1"),
    ],
)
def test_wrong_values_are_one_clear_line(wrong, says):
    with pytest.raises(ValueError) as error:
        check_settings(**wrong)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_notebooks_globals_are_read_and_its_objects_left_alone():
    given = {**Settings().model_dump(), "conf_threshold": 0.5, "In": ["", "cell"], "_i1": "x", "print": print}
    assert read_parameters(given) == Settings(conf_threshold=0.5)


def test_a_misspelt_global_is_refused():
    with pytest.raises(ValueError, match="unknown parameter image_dirr: did you mean image_dir"):
        read_parameters({**Settings().model_dump(), "image_dirr": "photos"})


def test_a_deleted_parameter_is_named():
    given = Settings().model_dump()
    del given["top_k"]
    with pytest.raises(ValueError, match="top_k"):
        read_parameters(given)
