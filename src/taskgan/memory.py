"""What the machine says when its memory or its device's is full, and how to give back what a failed run held."""

import gc
import re
import sys

_SIGNS = re.compile(
    r"out of memory|can't allocate memory|not enough memory|failed to allocate|ALLOC_FAILED", re.IGNORECASE
)


def out_of_memory(error: BaseException) -> str | None:
    """What an error says of memory that ran out, in a sentence; None where it is another error.

    Python raises ``MemoryError``, torch ``OutOfMemoryError`` or a ``RuntimeError`` of its allocator on the CPU or
    of cuBLAS and cuDNN on a GPU.
    """
    text = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not (isinstance(error, RuntimeError) and _SIGNS.search(text)):
        return None
    # Torch goes on for a paragraph: how much was asked for is in the first sentences.
    amount = re.search(r"(?:tried|unable) to allocate (?:about )?[\d.]+ ?\w+", text, re.IGNORECASE)
    return f"out of memory ({amount[0][:1].lower()}{amount[0][1:]})" if amount else "out of memory"


def free_memory() -> None:
    """Free what a failed run held, on a GPU too; call it where its error is no longer held."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
