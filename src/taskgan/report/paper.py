"""What the paper reports (Tables 2 and 3) of PET, of one MR contrast and of faces: differences to read, not levels.

Its in-vivo images, scanner and scale are not ours, so that only differences between methods can be set side
by side. Table 3 prints the readers' error with Task-GAN as "0.20 (2/10)"; over 20 decisions it is 4/20.
"""

from collections.abc import Mapping

Levels = Mapping[str, Mapping[str, float]]
RMSE_IS = "rmse_relative"  # its RMSE column is relative: .304 at 22.4 dB cannot be anything else for PET

QUALITY = {
    "input": {"psnr": 22.41, "ssim": 0.864, RMSE_IS: 0.304},
    "gan": {"psnr": 28.49, "ssim": 0.945, RMSE_IS: 0.156},
    "task_gan": {"psnr": 29.99, "ssim": 0.953, RMSE_IS: 0.151},
}
# LFW-a, eight times fewer pixels along each axis.
FACES = {
    "input": {"psnr": 22.52, "ssim": 0.679, RMSE_IS: 0.168},
    "gan": {"psnr": 27.53, "ssim": 0.800, RMSE_IS: 0.096},
    "task_gan": {"psnr": 28.10, "ssim": 0.812, RMSE_IS: 0.097},
}
# Which of its experiments a report is set beside.
PET, LFW, NONE = "pet", "lfw", ""
_TABLES: Mapping[str, Levels] = {PET: QUALITY, LFW: FACES, NONE: {}}
# Of the six MR contrasts it shows one; the RMSE of that table is on another scale than ours.
BY_CONDITION = {"T1w": {"gan": {"psnr": 25.68, "ssim": 0.812}, "task_gan": {"psnr": 29.56, "ssim": 0.895}}}
TASK_MAE = {"clean": 0.139, "gan": 0.135, "task_gan": 0.125}
READERS_WRONG = {"gan": "7/20", "task_gan": "4/20"}


def quality(method: str, experiment: str = PET) -> Mapping[str, float] | None:
    """Image quality that the paper reports of a method in one of its experiments, or None."""
    return _TABLES[experiment].get(method)


def verification(method: str, baseline: str) -> str:
    """What the paper says of two methods' verification of faces: "more than 1 %" without a figure."""
    return {("task_gan", "gan"): "> +1 %", ("gan", "task_gan"): "< −1 %"}.get((method, baseline), "")


def difference(metric: str, method: str, baseline: str, experiment: str = PET) -> float | None:
    """The paper's difference of two methods in one metric, or None where it reports none."""
    if metric == "task_mae" and experiment == PET:
        table = TASK_MAE
        if method in table and baseline in table:
            return table[method] - table[baseline]
        return None
    return _gap(_TABLES[experiment], metric, method, baseline)


def condition_difference(condition: str, metric: str, method: str, baseline: str) -> float | None:
    """Likewise for one of several kinds of image, such as an MR contrast."""
    return _gap(BY_CONDITION.get(condition, {}), metric, method, baseline)


def _gap(table: Levels, metric: str, method: str, baseline: str) -> float | None:
    first, second = table.get(method, {}).get(metric), table.get(baseline, {}).get(metric)
    return first - second if first is not None and second is not None else None
