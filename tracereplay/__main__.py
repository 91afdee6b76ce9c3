"""`python -m tracereplay`."""

import sys

from tracereplay.cli.main import main

sys.exit(main())
