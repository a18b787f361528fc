import torch


class Wrong(AssertionError):
    """A check that failed: what was expected, and, for you alone, what you have."""

    def __init__(self, told, expected="", yours=""):
        super().__init__(told + expected + yours)
        self.told, self.expected = told, expected


def close(what, actual, expected, within=1e-9, mistakes=None):
    """Check numbers: the same shape, and none further off than `within` times the largest expected.

    mistakes: values that well-known mistakes lead to, by the name of the mistake. One is named only where
    the answer is within half of the tolerance of it, lest a wide one accuse the innocent.
    """
    expected = torch.as_tensor(expected)
    shape, bound = tuple(expected.shape), within * max(1e-300, expected.abs().max().item())
    wanted = f"\nexpected {expected}" if expected.numel() <= 12 else ""
    try:
        actual = torch.as_tensor(actual).detach().to(expected.dtype)
    except Exception:
        raise Wrong(f"{what}: numbers of shape {shape} are expected.", wanted) from None
    found = actual if actual.numel() <= 12 else f"of shape {tuple(actual.shape)}"
    yours = f"\nyours    {found}"
    if actual.shape != expected.shape:
        raise Wrong(f"{what}: the shape {shape} is expected.", wanted, yours)
    if bool(((actual - expected).abs() <= bound).all()):
        return
    for mistake, value in (mistakes or {}).items():
        value = torch.as_tensor(value)
        if value.shape == actual.shape and bool(((actual - value).abs() <= bound / 2).all()):
            raise Wrong(f"{what}: {mistake}.", wanted, yours)
    raise Wrong(f"{what}: not within {bound:.1e} of what is expected.", wanted, yours)


def equal(what, actual, expected, mistakes=None):
    """Check a word, a list or a whole number: of the same type, and the same."""
    if type(actual) is type(expected) and actual == expected:
        return
    wanted, yours = f"\nexpected {expected!r}", f"\nyours    {actual!r}"
    for mistake, value in (mistakes or {}).items():
        if type(actual) is type(value) and actual == value:
            raise Wrong(f"{what}: {mistake}.", wanted, yours)
    raise Wrong(f"{what}: something else is expected.", wanted, yours)
