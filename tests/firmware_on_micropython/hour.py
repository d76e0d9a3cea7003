"""A whole pod for many minutes, accelerated, with the heap of a small chip: prints what a host saw, as JSON.

    hour.py MINUTES BLOCKS FREE, in the folder of a virtual pod

BLOCKS is the size of its flash, FREE how many bytes of the heap are the firmware's.
"""

import sys

from accelerated import run

run(*(int(word) for word in sys.argv[1:4]))
