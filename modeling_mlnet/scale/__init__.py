"""Past one machine: batches for the engines that call functions, and collections as shards of Parquet.

Only `BatchPredictor` is imported here: the rest needs the extra `scale`.
"""

from .batch import BatchPredictor

__all__ = ["BatchPredictor"]
