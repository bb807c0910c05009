"""Kernel SHAP in numpy: exact where that is affordable, else by paired sampling. Usable on its own."""

from hostmaker.explainer.kernel_shap import Explanation, KernelShap

__all__ = ["Explanation", "KernelShap"]
