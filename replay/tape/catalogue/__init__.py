"""The catalogue: every series a trader has brought in, in one directory, each written all or nothing.

    catalogue = Catalogue(default_data_dir())
    catalogue.write(SeriesKey("bars", "binance", "BTC/USDT", MINUTE_NS), frames, Provenance("btc.csv", sha256))
    catalogue.scan(key).filter(...).collect()

A series is a folder of Parquet files, each named by its content, and a manifest that says which of them count. Writing
one is writing new files beside the old and then replacing the manifest: one atomic step, before which nothing has
happened and after which everything has.
"""

from replay.tape.catalogue.keys import SeriesKey, default_data_dir, parse_name
from replay.tape.catalogue.manifest import Import, Manifest, Part
from replay.tape.catalogue.merging import Conflict, OnConflict
from replay.tape.catalogue.playing import KeptSeries, kept_rows, kept_series
from replay.tape.catalogue.store import Catalogue, ConflictError, Provenance, WriteReport

__all__ = [
    "Catalogue",
    "Conflict",
    "ConflictError",
    "Import",
    "KeptSeries",
    "Manifest",
    "OnConflict",
    "Part",
    "Provenance",
    "SeriesKey",
    "WriteReport",
    "default_data_dir",
    "kept_rows",
    "kept_series",
    "parse_name",
]
