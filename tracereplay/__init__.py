"""tracereplay: which pages made a CMA allocation or a memory offline fail, why, and who holds them."""

__version__ = "0.1.0"
