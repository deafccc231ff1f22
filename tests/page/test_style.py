from pathlib import Path

from taskgan.page.style import axes_figure, save_figure


def test_values_that_hardly_differ_are_ticked_in_full() -> None:
    with axes_figure(1, 1, (4, 3)) as (figure, axes):
        axes[0, 0].plot([0, 1], [0.50081, 0.50086])
        figure.canvas.draw()
        axis = axes[0, 0].yaxis
        assert axis.get_offset_text().get_text() == ""
        assert all(label.get_text().startswith("0.5008") for label in axis.get_ticklabels()[1:-1])


def test_names_are_no_formulas(tmp_path: Path) -> None:
    with axes_figure(1, 1, (4, 3)) as (figure, axes):
        axes[0, 0].plot([0, 1], [0, 1], label=r"$\frac{1}$")
        axes[0, 0].set_title(r"$\frac{1}$ $")
        axes[0, 0].legend()
        assert save_figure(figure, tmp_path / "a.png").stat().st_size > 1000
