"""Found by the Python inside q where bench/tail.py says so: has q note where calls wait."""

import os

if "Q_TAIL_NOTES" in os.environ and "Q_CONFIG_JSON" in os.environ:
    from tailing.recorder import install

    install(os.environ["Q_TAIL_NOTES"], os.environ["Q_TAIL_VARIANT"])
