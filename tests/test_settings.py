"""Parameters: typed, within bounds, unknown ones refused with a suggestion."""

import inspect

import pytest

from wanwu_nb import ResidentModel, tag_folder
from wanwu_nb.errors import SettingsError
from wanwu_nb.parameters import read_parameters
from wanwu_nb.settings import (
    NOTEBOOKS,
    ModelSettings,
    ProfileSettings,
    SpeedUpSettings,
    TagBatchSettings,
    TagSettings,
    check_settings,
)


def test_text_false_means_false():
    assert check_settings(TagSettings, resume="false").resume is False
    assert check_settings(TagSettings, compile="false").compile is False
    assert check_settings(TagSettings).compile == "auto"


def test_numbers_come_as_text_too():
    as_text = check_settings(TagSettings, batch_size="4", conf_threshold="0.5")
    assert as_text == check_settings(TagSettings, batch_size=4, conf_threshold=0.5)


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
        ({"image_dir": 2024}, "use -r image_dir NAME, with the name as it was typed"),
        ({"limit": -1, "top_k": 0}, "limit=-1"),
    ],
)
def test_wrong_values_are_one_clear_line(wrong, says):
    with pytest.raises(ValueError) as error:
        check_settings(TagBatchSettings, **wrong)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_notebooks_globals_are_read_and_its_objects_left_alone():
    variables = {"conf_threshold": 0.5, "In": ["", "cell"], "_i1": "x", "print": print}
    namespace = TagBatchSettings().model_dump() | variables
    assert read_parameters(namespace, TagBatchSettings) == TagBatchSettings(conf_threshold=0.5)


def test_a_misspelt_global_is_refused():
    namespace = TagBatchSettings().model_dump() | {"image_dirr": "photos"}
    with pytest.raises(ValueError, match="unknown parameter image_dirr: did you mean image_dir"):
        read_parameters(namespace, TagBatchSettings)


def test_a_deleted_parameter_is_named():
    namespace = TagBatchSettings().model_dump()
    del namespace["top_k"]
    with pytest.raises(ValueError, match="top_k"):
        read_parameters(namespace, TagBatchSettings)


def test_the_notebooks_parameters_stand_in_the_order_people_read():
    first = {name: list(kind.model_fields)[:3] for name, kind in NOTEBOOKS.items()}
    assert first == {
        "01_profile_baseline": ["image_dir", "model", "labels"],
        "02_speed_up": ["image_dir", "model", "labels"],
        "03_tag_batch": ["image_dir", "output_dir", "model"],
    }


def test_a_parameter_that_several_notebooks_have_is_one_declaration():
    """But for `limit` and `batch_size`, which mean something else where steps are measured."""
    for name in set(TagBatchSettings.model_fields) & set(SpeedUpSettings.model_fields) - {"limit", "batch_size"}:
        one, other = TagBatchSettings.model_fields[name], SpeedUpSettings.model_fields[name]
        assert (one.default, one.description) == (other.default, other.description), name
    assert set(ProfileSettings.model_fields) < set(SpeedUpSettings.model_fields)


@pytest.mark.parametrize(
    ("function", "kind"), [(tag_folder, TagSettings), (ResidentModel.load, ModelSettings)], ids=["tag_folder", "load"]
)
def test_a_functions_defaults_are_the_settings(function, kind):
    for name, parameter in inspect.signature(function).parameters.items():
        if name in kind.model_fields and parameter.default is not inspect.Parameter.empty:
            assert parameter.default == kind.model_fields[name].default, name


def test_the_part_of_the_settings_that_a_function_takes():
    settings = TagBatchSettings(model="wanwu", limit=3)
    assert settings.part(ModelSettings) == ModelSettings(model="wanwu").model_dump()
    assert settings.part(TagSettings) == TagSettings(limit=3).model_dump()


def test_what_is_rarely_set_is_lines_in_one_parameter():
    settings = check_settings(TagBatchSettings, advanced="orphans: move\npicture_timeout: 30", limit=3)
    options = settings.part(TagSettings)
    assert (options["orphans"], options["picture_timeout"], options["limit"]) == ("move", 30, 3)
    assert check_settings(TagBatchSettings).part(TagSettings) == TagSettings().model_dump()


@pytest.mark.parametrize(
    ("advanced", "says"),
    [
        ("orphan: move", "advanced: unknown parameter orphan: did you mean orphans?"),
        ("orphans: burn", "advanced: orphans='burn' is not valid"),
        ("picture_timeout: 0", "advanced: picture_timeout=0 is not valid"),
        (
            "move",
            "advanced: 'move' is not lines of \"name: value\": known are orphans, max_pixels",
        ),
        ("- orphans", "is not lines of"),
        ("a: [", "is not lines of"),
    ],
)
def test_a_line_that_is_wrong_says_so(advanced, says):
    with pytest.raises(SettingsError) as error:
        check_settings(TagBatchSettings, advanced=advanced)
    assert says in str(error.value)


def test_what_ipython_keeps_is_no_parameter():
    """nbval runs cells without keeping them: then the whole namespace is looked at."""
    namespace = TagBatchSettings().model_dump() | {"In": [""], "Out": {}}
    assert read_parameters(namespace, TagBatchSettings) == TagBatchSettings()
