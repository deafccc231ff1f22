"""What the paper reports for PET (Tables 2 and 3), to be read as differences, not as levels.

Its in-vivo images, scanner and scale are not ours, so that only differences between methods can be set side
by side. Table 3 prints the readers' error with Task-GAN as "0.20 (2/10)"; over 20 decisions it is 4/20.
"""

RMSE_IS = "rmse_relative"  # its RMSE column is relative: .304 at 22.4 dB cannot be anything else for PET

QUALITY = {
    "input": {"psnr": 22.41, "ssim": 0.864, RMSE_IS: 0.304},
    "gan": {"psnr": 28.49, "ssim": 0.945, RMSE_IS: 0.156},
    "task_gan": {"psnr": 29.99, "ssim": 0.953, RMSE_IS: 0.151},
}
TASK_MAE = {"clean": 0.139, "gan": 0.135, "task_gan": 0.125}
READERS_WRONG = {"gan": "7/20", "task_gan": "4/20"}


def difference(metric: str, method: str, baseline: str) -> float | None:
    """The paper's difference of two methods in one metric, or None where it reports none."""
    if metric == "task_mae":
        table = TASK_MAE
        if method in table and baseline in table:
            return table[method] - table[baseline]
        return None
    first, second = QUALITY.get(method, {}).get(metric), QUALITY.get(baseline, {}).get(metric)
    return first - second if first is not None and second is not None else None
