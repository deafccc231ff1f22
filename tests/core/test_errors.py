import pytest
import torch

from taskgan.core.errors import UserError, out_of_memory, short_words


def test_what_torch_itself_raises_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert str(out_of_memory(caught.value)).startswith("out of memory")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 2.0 TiB for an array"), "out of memory (unable to allocate 2.0 TiB)"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. Of the allocated memory …"),
            "out of memory (tried to allocate 20.00 MiB)",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), "out of memory"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (ValueError("out of memory"), None),
    ],
    ids=str,
)
def test_memory_is_told_from_other_errors(error: Exception, expected: str | None) -> None:
    assert out_of_memory(error) == expected


def test_words_that_nobody_meant_to_be_read_are_cut() -> None:
    long = "x" * 5000
    assert short_words(f"a/{long} does not exist") == f"a/{long[:198]}… does not exist"
    assert len(str(UserError(f"b.csv names {long}\nand {long}"))) < 500
    path = "/" + "/".join(["folder"] * 140)
    assert short_words(path) == path
