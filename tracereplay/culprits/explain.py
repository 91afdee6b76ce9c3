"""The words the table of causes refers to; they live in the model, where reports and `explain` can read them too."""

from tracereplay.model.explain import EXPLANATIONS, Explanation

__all__ = ["EXPLANATIONS", "Explanation"]
