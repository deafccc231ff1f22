"""Projector against scikit-image and against other ways to hold it, and what the choice rests on.

    python benchmarks/projector.py

One thread throughout. Prints the build time apart from the projection time: the matrices are built once per
cohort and worker, then used for every slice, subset, iteration and dose.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse
from skimage.transform import iradon, radon
from threadpoolctl import threadpool_limits

from taskgan.simulate.pet.projector import Projector
from taskgan.simulate.pet.settings import Scanner, scanner_preset


def _stored(projector: Projector) -> int:
    return sum(int(matrix.nnz) for matrix in projector._matrices)


def best(work: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, in seconds: other load on the machine only ever adds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def both_ways(projector: Projector, stack: np.ndarray) -> None:
    for subset in range(projector.scanner.subsets):
        projector.adjoint(projector.forward(stack, subset), subset)


def scikit_image(stack: np.ndarray, angles: int) -> None:
    degrees = np.arange(angles) * 180.0 / angles
    for k in range(stack.shape[2]):
        sinogram = radon(stack[..., k], degrees, circle=True)
        iradon(sinogram, degrees, filter_name=None, circle=True, output_size=stack.shape[0])


def flat_tof(scanner: Scanner) -> list[sparse.csr_array]:
    """The alternative: the TOF kernel multiplied out into one sparse matrix per subset."""
    projector = Projector(scanner)
    matrices = []
    for matrix in projector._matrices:
        by_cell = [matrix[c * projector.rays : (c + 1) * projector.rays] for c in range(scanner.depth_cells)]
        rows = []
        for weights in projector.tof:
            near = [w * part for w, part in zip(weights, by_cell, strict=True) if w > 1e-3]
            rows.append(sum(near[1:], start=near[0]))
        matrices.append(sparse.csr_array(sparse.vstack(rows)))
    return matrices


def against_scikit_image(repeats: int) -> None:
    scanner = scanner_preset("demo").model_copy(update={"tof_bins": 0, "depth_cells": 1})
    start = time.perf_counter()
    projector = Projector(scanner, resolution=False)
    build = time.perf_counter() - start
    stack = np.random.default_rng(0).random((scanner.pixels, scanner.pixels, scanner.slices), dtype=np.float32)
    axis = np.arange(scanner.pixels) - 0.5 * (scanner.pixels - 1)
    stack *= (np.add.outer(axis**2, axis**2) < 52**2)[..., None]  # inside scikit-image's circle too
    print(f"without TOF, forward + adjoint, {scanner.pixels}×{scanner.pixels}, {scanner.angles} angles, ms per slice")
    few = np.ascontiguousarray(stack[..., :4])
    theirs = best(lambda: scikit_image(few, scanner.angles), repeats) / 4
    print(f"  scikit-image radon + unfiltered iradon          {1e3 * theirs:8.2f}")
    for count in (1, scanner.slices):
        part = np.ascontiguousarray(stack[..., :count])
        ours = best(lambda part=part: both_ways(projector, part), repeats) / count
        print(f"  ours, {count:2d} slices at once                        {1e3 * ours:8.2f}   {theirs / ours:6.1f}×")
    print(
        f"  ours, building the matrices (once)             {1e3 * build:8.1f} ms in all, {_stored(projector)} entries"
    )


def ways_to_hold_tof(repeats: int) -> None:
    scanner = scanner_preset("demo")
    start = time.perf_counter()
    projector = Projector(scanner)
    build = time.perf_counter() - start
    stack = np.random.default_rng(0).random((scanner.pixels, scanner.pixels, scanner.slices), dtype=np.float32)
    flat_stack = stack.reshape(-1, scanner.slices)
    print(f"\nwith TOF ({scanner.tof_bins} bins), forward + adjoint, {scanner.slices} slices at once")
    ours = best(lambda: both_ways(projector, stack), repeats)
    _line("factored, scipy CSR × dense, then TOF as BLAS (in use)", ours, _stored(projector), build, scanner)

    start = time.perf_counter()
    whole = flat_tof(scanner)
    build = time.perf_counter() - start

    def flat() -> None:
        for matrix in whole:
            matrix.T @ (matrix @ flat_stack)

    _line("TOF in one sparse matrix, scipy", best(flat, repeats), sum(m.nnz for m in whole), build, scanner)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = [_torch(m) for m in projector._matrices]
        back = [_torch(sparse.csr_array(m.T)) for m in projector._matrices]
    tof, image = torch.from_numpy(projector.tof), torch.from_numpy(flat_stack)
    shape = (scanner.depth_cells, -1)

    def with_torch() -> None:
        for matrix, transposed in zip(there, back, strict=True):
            data = tof @ (matrix @ image).reshape(shape)
            transposed @ (tof.T @ data).reshape(-1, scanner.slices)

    _line("factored, torch sparse CSR", best(with_torch, repeats), 2 * _stored(projector), 0.0, scanner)


def _torch(matrix: sparse.csr_array) -> torch.Tensor:
    return torch.sparse_csr_tensor(
        torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices), torch.from_numpy(matrix.data), matrix.shape
    )


def _line(name: str, seconds: float, entries: int, build: float, scanner: Scanner) -> None:
    per_slice = 1e3 * seconds / scanner.slices
    print(f"  {name:55s} {per_slice:7.2f} ms/slice  {entries * 8 / 2**20:6.0f} MiB  built in {build:5.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    with threadpool_limits(1):
        against_scikit_image(repeats)
        ways_to_hold_tof(repeats)


if __name__ == "__main__":
    main()
