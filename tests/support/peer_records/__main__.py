"""Makes the files of records anew, all of them or the families that are named: python -m peer_records [FAMILY ...]."""

import sys

from peer_records.comparison import MODULES
from peer_records.files import write

for family in sys.argv[1:] or MODULES:
    records = MODULES[family].record()
    write(family, records)
    print(f"{family}: {len(records)} records")
