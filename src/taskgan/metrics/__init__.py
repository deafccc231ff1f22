"""Image quality, ROC and SUVR: pure functions of arrays, one copy each."""
