"""The example of receptive fields counts what is seen, and its picture shows it."""

import receptive_field
from PIL import Image


def test_the_picture_of_receptive_fields_shows_them(tmp_path, capsys):
    receptive_field.main(["--output", str(tmp_path / "x.png")])
    found = [int(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[1:6]]
    before = receptive_field.SIDE * receptive_field.ROW + receptive_field.COLUMN
    assert found[2] == found[4] == before > max(found[1], found[3]) and found[0] < found[1]
    with Image.open(tmp_path / "x.png") as picture:
        colors = dict(map(reversed, picture.convert("RGB").getcolors(1 << 16)))
    cell = (receptive_field.CELL - 1) ** 2
    assert colors[receptive_field.SEEN] == sum(found) * cell
    assert colors[receptive_field.UNSEEN] == (5 * before - sum(found)) * cell
