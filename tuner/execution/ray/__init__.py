"""The Ray executor: Ray Tune places, supervises and restarts workers, which pull segments through a mailbox.

Importing this package, before any module of it imports Ray, sets what Ray reads from the environment at its import:
quiet, no telemetry, no loggers of its own, no handler of Ctrl-C beside ours, the working directory left alone.
"""

import os
import sys

if "ray" in sys.modules:  # imported before us: what it reads then is read
    from ray._private import auto_init_hook

    auto_init_hook.enable_auto_connect = False

for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread of Tune's that outlives its Ray must not start another
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_MAX_PENDING_TRIALS_PG": "2",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
}.items():
    os.environ.setdefault(_name, _value)
