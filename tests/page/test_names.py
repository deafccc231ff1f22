import pytest

from taskgan.page.cells import csv_name, display_name, join_methods, name_cell, versus_cell


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("task_gan", "Task-GAN"),
        ("task_gan_25d", "Task-GAN, 2.5D"),
        ("task_gan_three_step", "Task-GAN, three step"),
        ("task_gan_frozen", "Task-GAN, frozen"),
        ("gan_T1w_alone", "GAN, T1w alone"),
        ("cycle_gan_3d", "CycleGAN, 3D"),
        ("l1", "L1 only"),
        ("l1_25d", "L1, 2.5D"),
        ("relaxometry", "Relaxometry"),
        ("BM3D", "BM3D"),
        ("gan_", "gan_"),
        ("gan__", "gan__"),
        ("ganesh_2", "ganesh_2"),
        ("a<b>&c", "a<b>&c"),
    ],
)
def test_a_known_name_is_followed_by_the_rest_in_words(method: str, words: str) -> None:
    assert display_name(method) == words


def test_programs_find_the_names_that_were_given() -> None:
    assert (csv_name("task_gan"), csv_name("task_gan_25d"), csv_name("BM3D")) == ("Task-GAN", "task_gan_25d", "BM3D")
    cell = name_cell("gan_25d", tone="strong")
    assert (cell.text, cell.value, cell.tone) == ("GAN, 2.5D", "gan_25d", "strong")
    cell = versus_cell("task_gan_25d", "gan")
    assert (cell.text, cell.value) == ("Task-GAN, 2.5D − GAN", "task_gan_25d − GAN")


def test_a_comma_in_a_name_is_not_one_between_names() -> None:
    assert join_methods(["L1 only", "GAN +0.1 [0, 1]", "BM3D"]) == "L1 only, GAN +0.1 [0, 1] and BM3D"
    assert join_methods(["L1, 2.5D 3", "GAN 2", "Task-GAN, frozen"]) == "L1, 2.5D 3; GAN 2; and Task-GAN, frozen"
    assert (join_methods(["GAN, 2.5D"]), join_methods([])) == ("GAN, 2.5D", "nothing")
