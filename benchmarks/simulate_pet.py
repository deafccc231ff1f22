"""Simulated slice pairs per second at demo size, memory at full size, and the calibration of the counts.

    python benchmarks/simulate_pet.py                 # pairs per second, all cores, files written
    python benchmarks/simulate_pet.py --full-scale    # a subject a worker at 256×256×89, peak memory of all processes
    python benchmarks/simulate_pet.py --calibrate     # relative RMSE and PSNR against counts

A slice pair is one slice at the standard and at one low dose: TOF projection, Poisson, thinning, OSEM twice.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from taskgan.cohort.folder import read_description
from taskgan.simulate.anatomy import SKULL, mni_anatomy
from taskgan.simulate.deform import deform
from taskgan.simulate.pet.acquire import BONE_PER_CM, SOFT_PER_CM
from taskgan.simulate.pet.cohort import simulate_pet
from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import pet_simulation
from taskgan.simulate.pet.subject import acquire_and_reconstruct, grid_of
from taskgan.simulate.pet.uptake import paint_uptake

CORES = len(os.sched_getaffinity(0))


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """GB that this process and its children hold together, at most."""
    me = psutil.Process()
    peak, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], total / 1e9)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def whole_command(subjects: int) -> None:
    settings = pet_simulation(subjects=subjects)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, peak_memory() as peak:
        start = time.perf_counter()
        simulate_pet(Path(folder) / "cohort", settings)
        seconds = time.perf_counter() - start
        measured = read_description(Path(folder) / "cohort")["measured"]
    pairs = subjects * settings.scanner.slices
    print(f"taskgan simulate pet, {subjects} subjects, {CORES} cores (load before: {load:.1f})")
    print(f"  everything, start-up and files included   {pairs / seconds:6.1f} slice pairs/s   {seconds:.1f} s")
    print(f"  peak memory of all processes              {peak[0]:6.2f} GB")
    print(f"  1 % dose: {measured['dose01']}")


def one_core(repeats: int) -> None:
    scanner = pet_simulation().scanner
    with threadpool_limits(1):
        start = time.perf_counter()
        projector = Projector(scanner)
        build = time.perf_counter() - start
        grid = grid_of(scanner)
        anatomy = mni_anatomy(2.0)
        begin = time.process_time()
        head = deform(anatomy, grid, np.random.default_rng(0))
        truth = paint_uptake(head, grid, 1.2, False, False, np.random.default_rng(0))
        subject = time.process_time() - begin
        bone = head.fractions[SKULL]
        per_cm = (SOFT_PER_CM * (head.fractions.sum(axis=0) - bone) + BONE_PER_CM * bone).astype(np.float32)
        walls, cpus = [], []
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            acquire_and_reconstruct(projector, truth.suvr * np.float32(4.4), per_cm, (1.0,), np.random.SeedSequence(0))
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    slices = scanner.slices
    print(f"one core: {scanner.pixels}×{scanner.pixels}, {scanner.angles} angles, {scanner.radial_bins} bins,")
    print(f"  {scanner.tof_bins} TOF bins, {scanner.subsets} subsets × {scanner.iterations} iterations")
    print(f"  acquisition and OSEM at both doses        {slices / min(walls):6.1f} slice pairs/s (wall)")
    print(f"                                            {slices / min(cpus):6.1f} slice pairs/s (CPU time)")
    print(f"  with anatomy and uptake                   {slices / (min(cpus) + subject):6.1f} slice pairs/s (CPU time)")
    print(f"  building the system matrices, once        {build:6.2f} s")


def full_scale() -> None:
    settings = pet_simulation(subjects=6, positive=0.5, scale="full")
    from taskgan.simulate.pet import cohort
    from taskgan.simulate.pet import settings as plan

    workers = cohort._default_workers(settings)
    first = plan.plan_subjects(settings, None)[:workers]
    with tempfile.TemporaryDirectory() as folder, peak_memory() as peak:
        start = time.perf_counter()
        record, *_ = cohort._run(first, settings, (), Path(folder), workers)
        seconds = time.perf_counter() - start
    scanner = settings.scanner
    print(
        f"full scale: {scanner.pixels}×{scanner.pixels}×{scanner.slices}, {scanner.radial_bins}×{scanner.angles} LORs,"
    )
    print(
        f"  {scanner.tof_bins} TOF bins, {scanner.subsets} subsets × {scanner.iterations} iterations, "
        "doses 100 % and 1 %"
    )
    print(f"  peak memory of all processes  {peak[0]:6.2f} GB ({workers} workers)")
    print(f"  {workers} subjects                    {seconds:6.1f} s")
    print(f"  prompts {record['prompts']}, 1 % dose {record['measured']['dose01']}")


def calibrate(subjects: int, scale: str) -> None:
    for counts in (0.5, 1.0, 2.0):
        settings = pet_simulation(subjects=subjects, counts=counts, scale=scale, seed=11)
        with tempfile.TemporaryDirectory() as folder:
            simulate_pet(Path(folder) / "cohort", settings)
            measured = read_description(Path(folder) / "cohort")["measured"]
        dose = measured["dose01"]
        print(
            f"counts × {counts:g} (trues_per_kbq {settings.scanner.trues_per_kbq:g}): "
            f"{measured['standard_dose_prompts'] / 1e6:.0f} M prompts, "
            f"relative RMSE {dose['relative_rmse']['mean']:.3f} ± {dose['relative_rmse']['sd']:.3f}, "
            f"PSNR {dose['psnr_db']['mean']:.2f} ± {dose['psnr_db']['sd']:.2f} dB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-scale", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--scale", default="demo", choices=("demo", "full"), help="for --calibrate")
    parser.add_argument("--subjects", type=int, default=24)
    asked = parser.parse_args()
    if asked.full_scale:
        full_scale()
    elif asked.calibrate:
        calibrate(asked.subjects, asked.scale)
    else:
        one_core(3)
        whole_command(asked.subjects)


if __name__ == "__main__":
    main()
