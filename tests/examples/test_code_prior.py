"""The example of a law of codes: its table holds what it says of both laws, and its picture four kinds of images."""

import re

import code_prior
import numpy as np
import pytest
from PIL import Image


@pytest.mark.slow
def test_a_law_of_codes_is_better_than_none_and_asks_for_classes(tmp_path, capsys):
    path = tmp_path / "prior.png"
    code_prior.main(["--steps", "150", "--image-size", "8", "--output", str(path)])
    text = capsys.readouterr().out
    alone, learned = (float(re.search(rf"{name} +([\d.]+)", text)[1]) for name in ("by themselves", "over tokens"))
    assert learned < alone - 0.5
    shares = {name: float(share) for name, share in re.findall(r"^(\S.*?)  .*?([\d.]+)%$", text, re.MULTILINE)}
    assert shares["GPT over tokens"] > shares["tokens by themselves"] + 10 < shares["test images"]
    with Image.open(path) as picture:
        assert np.ptp(np.asarray(picture)) > 200
